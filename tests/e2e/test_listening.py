"""`hookstream listen` on a laptop that has nothing but the URL of a console and a partner's token."""

import asyncio
import itertools
import json
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from aiohttp import web
from examples.demo.free_ports import free_port
from tests.e2e.consoles import ANYWHERE, Console, admin
from tests.e2e.world import EVENT_TYPE, World

from hookstream.receiver import verify

pytestmark = pytest.mark.timeout(600)

DEADLINE = 120.0
_SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]{20,}")
_ACCEPTED = re.compile(r"(msg_\w+)  204  \d+ ms")
_UNANSWERED = re.compile(r"(msg_\w+)  (?!\d{3} )\S.*  \d+ ms")


async def until(holds: Callable[[], bool], said: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < deadline, said()
        await asyncio.sleep(0.1)


class LaptopServer:
    """The server that a developer works on: it can be stopped, and started on the same port."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self._runner: web.ServerRunner | None = None

    async def start(self) -> None:
        async def take(request: web.BaseRequest) -> web.StreamResponse:
            self.requests.append((dict(request.headers), await request.read()))
            return web.Response(status=204)

        self._runner = web.ServerRunner(web.Server(take))
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def events(self) -> Counter[str]:
        """How often each event came."""
        return Counter(str(json.loads(body)["id"]) for _, body in self.requests)


class Laptop:
    """`hookstream listen` in a folder of its own: no settings, no key ring, no broker."""

    def __init__(self, folder: Path, name: str, token: str) -> None:
        self._folder = folder
        self._log = folder / f"{name}.log"
        self._environ = {"PATH": os.environ["PATH"], "HOOKSTREAM_TOKEN": token}
        self._process: asyncio.subprocess.Process | None = None

    @property
    def said(self) -> str:
        return self._log.read_text()

    async def listen(self, *arguments: str) -> None:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "hookstream", "listen", *arguments),
                cwd=self._folder,
                env=self._environ,
                stdout=log,
                stderr=log,
            )
        await until(
            lambda: "is forwarded to" in self.said or not self.is_running, lambda: self.said
        )
        assert self.is_running, self.said

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def interrupt(self) -> int:
        """Press Ctrl-C, and return the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        async with asyncio.timeout(DEADLINE):
            return await self._process.wait()

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


async def test_a_laptop_gets_each_event_once_signed_over_a_killed_console_and_records_nothing(
    world: World, tmp_path: Path
) -> None:
    """And two consoles give the same events for a cursor, whichever of them made it."""
    world.stage.environ |= ANYWHERE
    first, second = Console(world, "first"), Console(world, "second")
    server, live_server = LaptopServer(), LaptopServer()
    laptops: list[Laptop] = []
    try:
        operator = await admin(world)
        await asyncio.gather(first.start(), second.start(), server.start(), live_server.start())  # noqa: TID251
        name, secret, token = await onboarded(first, operator)
        laptops = [Laptop(tmp_path, each, token) for each in ("session", "live")]
        session, live = laptops
        await session.listen(name, "--forward", server.url, "--api", first.url)
        await live.listen(
            name, "--forward", live_server.url, "--api", second.url, "--live-signatures"
        )
        await begun(world, server, live_server)
        sent = [each.event_id for each in await world.publish(5)]
        await arrived(server, session, sent)
        await arrived(live_server, live, sent)
        [shown] = set(_SECRET.findall(session.said))
        assert shown != secret
        assert not _SECRET.findall(live.said)
        signed_by(server, shown, secret)
        signed_by(live_server, secret, shown)

        await over_a_kill(world, first, (server, session), (live_server, live))
        await over_an_outage(world, (server, session), (live_server, live))
        # An event is printed when it was answered, a moment after the server has it.
        await until(
            lambda: len(_ACCEPTED.findall(session.said)) >= len(server.requests),
            lambda: session.said,
        )
        accepted = _ACCEPTED.findall(session.said)
        assert len(accepted) == len(set(accepted)) == len(server.requests)
        assert [await each.interrupt() for each in laptops] == [130, 130]
        for each in laptops:
            assert "Traceback" not in each.said
            assert token not in each.said
        assert await world.read("attempts") == []
        await same_events(first, second, token, name)
    finally:
        for laptop in laptops:
            await laptop.kill()
        for console in (first, second):
            await console.kill()
        for each_server in (server, live_server):
            await each_server.stop()


Pair = tuple[LaptopServer, Laptop]


async def over_a_kill(world: World, console: Console, *pairs: Pair) -> None:
    """Kill the console of the first pair, publish, and start it again: the reading goes on."""
    session = pairs[0][1]
    await console.kill()
    meanwhile = [each.event_id for each in await world.publish(5)]
    await until(lambda: "retrying in" in session.said, lambda: session.said)
    await console.start()
    for server, laptop in pairs:
        await arrived(server, laptop, meanwhile)


async def over_an_outage(world: World, down: Pair, up: Pair) -> None:
    """Stop a server: that is shown, and nothing is posted again when it is back."""
    server, laptop = down
    await server.stop()
    [lost] = [each.event_id for each in await world.publish(1)]
    await until(lambda: bool(_UNANSWERED.search(laptop.said)), lambda: laptop.said)
    await server.start()
    after = [each.event_id for each in await world.publish(3)]
    await arrived(server, laptop, after)
    assert lost not in server.events
    await arrived(*up, [lost, *after])
    for each, _ in (down, up):
        assert set(each.events.values()) == {1}, each.events


async def onboarded(console: Console, operator: str) -> tuple[str, str, str]:
    """Make a partner with a subscription whose endpoint is down; return its id, its secret and a token."""
    partner = {
        "id": "acme",
        "name": "Acme",
        "grant": {"event_types": ["*"], "environments": ["*"]},
    }
    answered = await console.done("POST", "/v1/partners", operator, partner)
    assert answered.status == 201, answered
    wanted = {
        "partner": "acme",
        "endpoint": {"url": "http://127.0.0.1:9/hook"},
        "event_types": [EVENT_TYPE],
    }
    answered = await console.done("POST", "/v1/subscriptions", operator, wanted)
    assert answered.status == 201, answered
    made = answered.json
    asked = {"scope": "partner:read", "partner": "acme"}
    answered = await console.done("POST", "/v1/tokens", operator, asked)
    assert answered.status == 201, answered
    return made["subscription"]["id"], made["generated"][0]["secret"], answered.json["text"]


async def begun(world: World, *servers: LaptopServer) -> None:
    """Publish until each server got an event, so that its listener stands at the head."""
    deadline = time.monotonic() + DEADLINE
    while not all(each.requests for each in servers):
        assert time.monotonic() < deadline
        await world.publish(1)
        await asyncio.sleep(1)


async def arrived(server: LaptopServer, laptop: Laptop, event_ids: list[str]) -> None:
    await until(
        lambda: not set(event_ids) - set(server.events),
        lambda: (event_ids, server.events, laptop.said[-3_000:]),
    )


def signed_by(server: LaptopServer, secret: str, other: str) -> None:
    for headers, body in server.requests:
        named = {name.lower(): value for name, value in headers.items()}
        at = float(named["webhook-timestamp"])
        verify(named, body, [secret], at)
        with pytest.raises(Exception, match="signature"):
            verify(named, body, [other], at)
        assert {each for each in named if each.startswith(("webhook-", "hookstream-"))} == {
            "webhook-id",
            "webhook-timestamp",
            "webhook-signature",
        }


async def same_events(first: Console, second: Console, token: str, name: str) -> None:
    """Read all from each console, from each cursor of one; and from both in turn, each by the other's cursor."""
    path = f"/v1/subscriptions/{name}/events"
    whole, cursors = await drained([first], path, token, "earliest")
    assert len(whole) == len(set(whole)) > 14
    again, _ = await drained([second], path, token, "earliest")
    assert sorted(again) == sorted(whole)
    middle = cursors[len(cursors) // 2]
    rests = [await drained([each], path, token, middle) for each in (first, second)]
    assert sorted(rests[0][0]) == sorted(rests[1][0])
    in_turn, cursors = await drained([first, second], path, token, "earliest")
    assert sorted(in_turn) == sorted(whole)
    cursor = cursors[-1]
    for hostile in (cursor[:-1], cursor[1:], cursor.swapcase(), "x", "A" * 7_000):
        refused = await first.done("GET", f"{path}?cursor={hostile}", token)
        problem = refused.status, refused.json["reason"]
        assert problem == (400, "invalid_cursor"), (hostile, refused)


async def drained(
    consoles: Sequence[Console], path: str, token: str, cursor: str
) -> tuple[list[str], list[str]]:
    """Read page after page, from each console in turn; return the events' ids and the cursors."""
    seen, cursors = list[str](), [cursor]
    for console in itertools.cycle(consoles):
        page = await console.until(f"{path}?limit=4&cursor={cursors[-1]}", token, bool)
        seen += [each["headers"]["webhook-id"] for each in page["entries"]]
        cursors.append(page["cursor"])
        if not page["entries"] and not page["has_more"]:
            break
    return seen, cursors
