"""The API on real Kafka: a partner is onboarded by docs/api.md, and consoles hold nothing that a kill could lose."""

import asyncio
import json
import os
import re
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from examples.demo.stage import Running
from tests.conftest import ROOT
from tests.e2e.world import EVENT_TYPE, World

from hookstream.core.access.tokens import TOKEN_PATTERN
from hookstream.receiver import verify

pytestmark = pytest.mark.timeout(400)

DEADLINE = 120.0
ANYWHERE = {
    "HOOKSTREAM_EGRESS__HTTPS_ONLY": "false",
    # The worker starts before there is a partner.
    "HOOKSTREAM_TABLES__ALLOW_EMPTY": "true",
}
_SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]{20,}")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        found: int = probe.getsockname()[1]
        return found


class Endpoint:
    """A partner's endpoint that accepts everything and keeps it."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.url = ""
        self.pause = 0.0
        self._runner: web.ServerRunner | None = None

    async def start(self) -> None:
        async def take(request: web.BaseRequest) -> web.StreamResponse:
            self.requests.append((dict(request.headers), await request.read()))
            await asyncio.sleep(self.pause)
            return web.Response(status=204)

        self._runner = web.ServerRunner(web.Server(take))
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/hooks"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()


class Console:
    """A console's process."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self.port = free_port()
        self.log = world.stage.folder / f"{name}.log"
        self.process: Running | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = await self._world.stage.launch(
                "--set",
                f"console.listen=127.0.0.1:{self.port}",
                "--set",
                "console.health_listen=127.0.0.1:0",
                "console",
                log=log,
            )
        deadline = time.monotonic() + DEADLINE
        while (await self.get("/v1/me", ""))[0] != 401:
            assert time.monotonic() < deadline, self.log.read_text()
            assert self.process.returncode is None, self.log.read_text()
            await asyncio.sleep(0.1)

    async def get(self, path: str, token: str) -> tuple[int, Any]:
        return await self.send("GET", path, token)

    async def send(
        self, method: str, path: str, token: str, body: object = None, **headers: str
    ) -> tuple[int, Any]:
        return await asyncio.to_thread(self._send, method, path, token, body, headers)

    def _send(
        self, method: str, path: str, token: str, body: object, headers: dict[str, str]
    ) -> tuple[int, Any]:
        request = urllib.request.Request(self.url + path, method=method)  # noqa: S310
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        if body is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as problem:
            return problem.code, json.loads(problem.read())
        except OSError:
            return 0, None

    async def until(self, path: str, token: str, holds: Callable[[Any], bool]) -> Any:  # noqa: ANN401  # JSON
        """Ask until an answer is as it is wanted, or fail with the last one."""
        deadline = time.monotonic() + DEADLINE
        while True:
            status, found = await self.get(path, token)
            if status == 200 and holds(found):
                return found
            assert time.monotonic() < deadline, (status, found, self.log.read_text()[-3000:])
            await asyncio.sleep(0.2)

    async def kill(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
            await self.process.wait()

    async def stop(self) -> int:
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


def script() -> str:
    """Return the script of docs/api.md, all of its blocks together."""
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    return "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))


async def test_a_partner_is_onboarded_by_the_api_alone(world: World) -> None:
    """With the script of docs/api.md; and no secret of the run is in a log, a topic or a later answer."""
    console, endpoint = Console(world, "console"), Endpoint()
    await endpoint.start()
    world.stage.environ |= ANYWHERE
    try:
        token = await admin(world)
        await asyncio.gather(console.start(), world.stage.start_worker())  # noqa: TID251
        said = await onboarded(world, console, endpoint, token)
        secrets = {*_SECRET.findall(said), token}
        assert len(secrets) >= 2
        [secret] = {*_SECRET.findall(said)}
        headers, body = next(each for each in endpoint.requests if is_resend(each[0]))
        verify(headers, body, [secret], time.time())
        assert await console.stop() == 0
        await nowhere(world, console, secrets)
    finally:
        await console.kill()
        await endpoint.stop()


async def onboarded(world: World, console: Console, endpoint: Endpoint, token: str) -> str:
    """Run the script beside a platform that publishes events; return what it printed."""
    environ = {**os.environ, "API": console.url, "TOKEN": token, "ENDPOINT": endpoint.url}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        script(),
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )

    async def publish() -> None:
        while True:
            await world.publish(1)
            await asyncio.sleep(0.5)

    publishing = asyncio.get_running_loop().create_task(publish())
    try:
        async with asyncio.timeout(2 * DEADLINE):
            said, _ = await process.communicate()
    finally:
        publishing.cancel()
        with suppress(asyncio.CancelledError):
            await publishing
        if process.returncode is None:
            process.kill()
    text = said.decode()
    assert process.returncode == 0, (text, console.log.read_text()[-4000:])
    for line in (
        "the test was delivered: True",
        "read: msg_",
        "success rate: 1.0",
        "sent again as",
    ):
        assert line in text, text
    deadline = time.monotonic() + DEADLINE
    while not any(is_resend(each) for each, _ in endpoint.requests):
        assert time.monotonic() < deadline, [each for each, _ in endpoint.requests]
        await asyncio.sleep(0.2)
    return text


def is_resend(headers: dict[str, str]) -> bool:
    return headers.get("hookstream-replay", "").startswith("resend-")


async def nowhere(world: World, console: Console, secrets: set[str]) -> None:
    """Look for secrets in the console's and the worker's logs and in every topic of ours."""
    texts = [console.log.read_text(), world.stage.log.read_text()]
    assert "api.request" in texts[0]
    names = ("console", "subscriptions", "partners", "jobs", "operations", "attempts", "health")
    texts += [
        (entry.key + (entry.value or b"")).decode(errors="replace")
        for entry in await world.read(*names)
    ]
    for secret in secrets:
        assert not [text for text in texts if secret in text]


async def test_a_killed_console_loses_and_doubles_nothing_and_two_give_the_same_answers(
    world: World, tmp_path: Path
) -> None:
    """A replay goes on in the other console; each event comes once by it."""
    del tmp_path
    world.stage.environ |= {**ANYWHERE, "HOOKSTREAM_JOBS__LEASE": "2s"}
    first, second, endpoint = Console(world, "first"), Console(world, "second"), Endpoint()
    await endpoint.start()
    try:
        token = await admin(world)
        await asyncio.gather(first.start(), world.stage.start_worker())  # noqa: TID251
        name = await subscribed(first, endpoint, token)
        await world.publish(30)
        await first.until(
            f"/v1/subscriptions/{name}/statistics",
            token,
            lambda found: found["counts"]["delivered"] >= 30,
        )
        asked = {"since": "2020-01-01T00:00:00Z", "rate": 5}
        status, job = await first.send(
            "POST", f"/v1/subscriptions/{name}/replays", token, asked, Idempotency_Key="replay"
        )
        assert status == 202, job
        path = f"/v1/jobs/{job['id']}"
        await first.until(path, token, lambda found: found["held"] and found["done"] > 2)
        await first.kill()
        await second.start()
        status, repeated = await second.send(
            "POST", f"/v1/subscriptions/{name}/replays", token, asked, Idempotency_Key="replay"
        )
        assert (status, repeated["id"]) == (202, job["id"])
        done = await second.until(path, token, lambda found: found["state"] != "running")
        assert (done["state"], done["done"]) == ("done", 30), done
        replayed = Counter(
            headers["webhook-id"]
            for headers, _ in endpoint.requests
            if headers.get("hookstream-trigger") == "replay"
        )
        assert len(replayed) == 30
        assert set(replayed.values()) == {1}
        await first.start()
        await once_over_two(first, second, endpoint, token, name)
        await same_answers(first, second, token, name)
    finally:
        await first.kill()
        await second.kill()
        await endpoint.stop()


async def subscribed(console: Console, endpoint: Endpoint, token: str) -> str:
    """Make a partner and a subscription, and return its id when it is active."""
    partner = {
        "id": "acme",
        "name": "Acme",
        "grant": {"event_types": ["*"], "environments": ["*"]},
    }
    status, made = await console.send("POST", "/v1/partners", token, partner)
    assert status == 201, made
    wanted = {
        "partner": "acme",
        "endpoint": {"url": endpoint.url},
        "event_types": [EVENT_TYPE],
    }
    status, made = await console.send("POST", "/v1/subscriptions", token, wanted)
    assert status == 201, made
    # From then on what is published is delivered to it.
    await asyncio.sleep(3)
    found: str = made["subscription"]["id"]
    return found


async def once_over_two(
    first: Console, second: Console, endpoint: Endpoint, token: str, name: str
) -> None:
    """Send changes to two consoles at the same time, with one key: each is made once, by either."""
    path = f"/v1/subscriptions/{name}"
    for number, (act, body) in enumerate(
        (
            ("test", {"wait": 0}),
            ("replays", {"since": "2020-01-01T00:00:00Z", "rate": 1}),
            ("pause", None),
        )
    ):
        headers = {"Idempotency_Key": f"twice-{number}", "If_Match": "*"}
        answers: list[tuple[int, Any]] = [(409, {})]
        deadline = time.monotonic() + DEADLINE
        while any(status == 409 for status, _ in answers):
            assert time.monotonic() < deadline, answers
            async with asyncio.TaskGroup() as tasks:
                sent = [
                    tasks.create_task(each.send("POST", f"{path}/{act}", token, body, **headers))
                    for each in (first, second)
                ]
            answers = [each.result() for each in sent]
        assert {status for status, _ in answers} <= {200, 202}, answers
        assert answers[0] == answers[1]
        if act == "replays":
            job = answers[0][1]["id"]
            status, cancelled = await first.send(
                "POST", f"/v1/jobs/{job}/cancel", token, Idempotency_Key="cancelled"
            )
            assert (status, cancelled["state"]) == (200, "cancelled")
            again = await second.send(
                "POST", f"/v1/jobs/{job}/cancel", token, Idempotency_Key="cancelled"
            )
            assert again == (status, cancelled)
    listed = await second.until("/v1/jobs?kind=replay", token, lambda found: "items" in found)
    assert len(listed["items"]) == 2, listed
    tests = {
        headers["webhook-id"]
        for headers, _ in endpoint.requests
        if headers.get("hookstream-trigger") == "test"
    }
    assert len(tests) <= 1


async def same_answers(first: Console, second: Console, token: str, name: str) -> None:
    """Compare what two consoles answer, once the younger one's index is built."""
    for console in (first, second):
        await console.until(
            "/v1/deliveries",
            token,
            lambda found: found["window"]["reading"] and not found["window"]["building"],
        )
        await console.until(
            f"/v1/subscriptions/{name}/statistics",
            token,
            lambda found: found["counts"]["delivered"] >= 30,
        )
    for path in (
        "/openapi.json",
        "/v1/partners",
        "/v1/subscriptions",
        "/v1/tokens",
        "/v1/jobs",
        "/v1/deliveries?limit=100",
        "/v1/attempts?limit=100",
        "/v1/operations",
        "/v1/dead-letters",
    ):
        here, there = await first.get(path, token), await second.get(path, token)
        assert here[0] == there[0] == 200, (path, here, there)
        assert _compared(here[1]) == _compared(there[1]), path


def _compared(answer: Any) -> Any:  # noqa: ANN401
    """Return an answer without what belongs to the moment and the console: windows and sealed cursors."""
    for each in ("window", "next"):
        answer.pop(each, None)
    return answer
