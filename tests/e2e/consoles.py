"""Consoles as processes, what they answered, and an endpoint that tells what it was sent."""

import asyncio
import json
import os
import signal
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from examples.demo.stage import Running
from tests.e2e.world import World

from hookstream.core.access.tokens import TOKEN_PATTERN

DEADLINE = 240.0
ANYWHERE = {
    "HOOKSTREAM_EGRESS__HTTPS_ONLY": "false",
    # The worker starts before there is a partner.
    "HOOKSTREAM_TABLES__ALLOW_EMPTY": "true",
}
UNAVAILABLE = 1
"""The exit code of a process whose brokers did not answer."""
PROBLEMS_OF_THE_MOMENT = (0, 429, 503)
"""Statuses after which the same request may be sent again; 0: there was no answer."""


@dataclass(slots=True, frozen=True)
class Received:
    """One request to an endpoint."""

    path: str
    headers: dict[str, str]
    """By their names in lower case."""
    body: bytes
    at: float
    """Monotonic seconds."""


class Endpoint:
    """Partners' endpoints on one port, which keep whatever they are sent, by its path."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.statuses: dict[str, int] = {}
        """What a path answers in place of 204."""
        self.echoes = False
        """Whether refusals quote the request, as debugging endpoints do."""
        self.url = ""
        self._runner: web.ServerRunner | None = None

    async def start(self) -> None:
        async def take(request: web.BaseRequest) -> web.StreamResponse:
            headers = {name.lower(): value for name, value in request.headers.items()}
            body = await request.read()
            self.received.append(Received(request.path_qs, headers, body, time.monotonic()))
            status = self.statuses.get(request.path, 204)
            if status == 204 or not self.echoes:
                return web.Response(status=status)
            return web.json_response(
                {"path": request.path_qs, "headers": headers, "body": body.decode()}, status=status
            )

        self._runner = web.ServerRunner(web.Server(take))
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def also_by_tls(self, context: ssl.SSLContext) -> str:
        """Serve the same on another port by TLS, and return its URL."""
        assert self._runner is not None
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context).start()
        return f"https://127.0.0.1:{self._runner.addresses[-1][1]}"

    def of(self, path: str, trigger: str | None = None) -> list[Received]:
        """Return what came to a path; `trigger`: by `hookstream-trigger`."""
        return [
            each
            for each in self.received
            if each.path == path
            and trigger in (None, each.headers.get("hookstream-trigger", "initial"))
        ]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()


@dataclass(slots=True, frozen=True)
class Answered:
    """One answer of a console, whole."""

    method: str
    path: str
    status: int
    """0: there was none."""
    headers: dict[str, str]
    """By their names in lower case."""
    body: bytes
    began: float
    """Monotonic seconds at which the request was sent."""
    ended: float

    @property
    def json(self) -> Any:  # noqa: ANN401  JSON
        """The body; of an export a list of its lines."""
        if self.headers.get("content-type", "").startswith("application/x-ndjson"):
            return [json.loads(line) for line in self.body.splitlines()]
        return json.loads(self.body or b"null")


@dataclass
class Console:
    """A console's process.

    Args:
        world: What it runs in.
        name: That of its log.
        folder: The index's folder, which then outlives the process.
    """

    world: World
    name: str
    folder: Path | None = None
    process: Running | None = None
    answers: list[Answered] = field(default_factory=list)
    url: str = ""
    health: str = ""
    _offset: int = 0

    @property
    def log(self) -> Path:
        return self.world.stage.folder / f"{self.name}.log"

    async def start(self) -> None:
        """Start it, and return when it answers."""
        deadline = time.monotonic() + DEADLINE
        while not await self._started():
            # A busy broker may not answer in time: then a console ends, and its supervisor starts it again.
            assert time.monotonic() < deadline, self.tail()
        while (await self.ask("GET", "/v1/me", "")).status != 401:
            assert time.monotonic() < deadline, self.tail()
            await asyncio.sleep(0.1)

    async def _started(self) -> bool:
        """Start it, and return whether it listens; it ended otherwise."""
        self._offset = self.log.stat().st_size if self.log.exists() else 0
        # Where it was before, so that its clients find it again.
        listen = self.url.removeprefix("http://") or "127.0.0.1:0"
        settings = [f"console.listen={listen}", "console.health_listen=127.0.0.1:0"]
        if self.folder is not None:
            settings.append(f"console.folder={self.folder}")
        options = [each for setting in settings for each in ("--set", setting)]
        with self.log.open("ab") as log:
            self.process = await self.world.stage.launch(*options, "console", log=log)
        said = await self._said("console.starting")
        if said is None:
            assert self.process.returncode == UNAVAILABLE, self.tail()
            return False
        self.url, self.health = f"http://{said['api']}", f"http://{said['listen']}"
        return True

    async def _said(self, event: str) -> dict[str, Any] | None:
        """Return a line of this start's log, once it is there; None: the process ended before."""
        deadline = time.monotonic() + DEADLINE
        while True:
            ended = self.process is None or self.process.returncode is not None
            for line in self.log.read_bytes()[self._offset :].splitlines():
                with suppress(ValueError):
                    found: dict[str, Any] = json.loads(line)
                    if found.get("event") == event:
                        return found
            if ended:
                return None
            assert time.monotonic() < deadline, self.tail()
            await asyncio.sleep(0.1)

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]

    async def ask(
        self, method: str, path: str, token: str, body: object = None, **headers: str
    ) -> Answered:
        """Return the answer to one request; `body`: bytes as they are, else JSON."""
        answered = await asyncio.to_thread(self._ask, method, path, token, body, headers)
        self.answers.append(answered)
        return answered

    def _ask(
        self, method: str, path: str, token: str, body: object, headers: dict[str, str]
    ) -> Answered:
        request = urllib.request.Request(self.url + path, method=method)  # noqa: S310
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        if body is not None:
            request.add_header("Content-Type", "application/json")
            request.data = body if isinstance(body, bytes) else json.dumps(body).encode()
        began = time.monotonic()
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                status, found, content = answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as problem:
            status, found, content = problem.code, problem.headers, problem.read()
        except OSError:
            status, found, content = 0, {}, b""
        lower = {name.lower(): value for name, value in found.items()}
        return Answered(method, path, status, lower, content, began, time.monotonic())

    async def done(
        self, method: str, path: str, token: str, body: object = None, **headers: str
    ) -> Answered:
        """Return the answer to a request that is sent again while it cannot be answered now."""
        deadline = time.monotonic() + DEADLINE
        while True:
            answered = await self.ask(method, path, token, body, **headers)
            if answered.status not in PROBLEMS_OF_THE_MOMENT:
                return answered
            assert time.monotonic() < deadline, (answered, self.tail())
            await asyncio.sleep(0.2)

    async def until(self, path: str, token: str, holds: Callable[[Any], bool]) -> Any:  # noqa: ANN401  JSON
        """Ask until an answer is as it is wanted, or fail with the last one."""
        deadline = time.monotonic() + DEADLINE
        while True:
            found = await self.ask("GET", path, token)
            if found.status == 200 and holds(found.json):
                return found.json
            assert time.monotonic() < deadline, (found.status, found.body[:2000], self.tail())
            await asyncio.sleep(0.2)

    async def every(self, path: str, token: str) -> list[dict[str, Any]]:
        """Return all items of a list, page by page."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            answered = await self.done("GET", f"{path}{cursor}", token)
            assert answered.status == 200, answered
            page = answered.json
            found += page["items"]
            if page["next"] is None:
                return found
            cursor = f"{'&' if '?' in path else '?'}cursor={page['next']}"

    async def metrics(self) -> bytes:
        """Return what a scrape gets."""

        def scraped() -> bytes:
            with urllib.request.urlopen(f"{self.health}/metrics", timeout=60) as answer:  # noqa: S310
                found: bytes = answer.read()
                return found

        return await asyncio.to_thread(scraped)

    async def index_pid(self) -> int:
        """Return the id of the process that writes its index."""
        said = await self._said("console.index_started")
        assert said is not None, self.tail()
        return int(said["pid"])

    async def kill(self, *, index: bool = False) -> None:
        """Kill it without notice; `index`: the process that writes its index, too."""
        if self.process is None or self.process.returncode is not None:
            return
        writer = await self.index_pid() if index else None
        self.process.send_signal(signal.SIGKILL)
        if writer is not None:
            with suppress(ProcessLookupError):
                os.kill(writer, signal.SIGKILL)
        await self.process.wait()

    async def stop(self) -> int:
        """Ask it to stop, and return its exit code."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        return await self.process.wait()


async def admin(world: World) -> str:
    """Return the text of the first token, as the command line makes it."""
    said = await world.stage.hookstream("tokens", "create", "--admin")
    found = TOKEN_PATTERN.search(said)
    assert found is not None, said
    return found[0]
