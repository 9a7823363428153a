"""Clients that open connections and say nothing, or little, keep nobody else from the API."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest
from aiohttp import web
from tests.doubles.api import ApiWorld

from hookstream.core.access.scopes import Scope
from hookstream.entry.api import transport
from hookstream.entry.api.transport import ApiServer, ConnectionBounds, Networks, api_server

pytestmark = pytest.mark.timeout(300)

DEADLINE = 120.0
LONG = 3_600.0
PATIENT = ConnectionBounds(header_seconds=LONG, idle_seconds=LONG)
"""No connection is closed because of the time."""


@pytest.fixture
def world() -> ApiWorld:
    return ApiWorld()


class Client:
    """A connection whose bytes a test writes itself."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def write(self, text: str) -> None:
        self.writer.write(text.encode())
        await self.writer.drain()

    async def status(self) -> int:
        """Return the status of the next answer, once all of it is read."""
        async with asyncio.timeout(DEADLINE):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = head.partition("content-length: ")[2].partition("\r\n")[0]
            await self.reader.readexactly(int(length or 0))
            return int(head.split()[1])

    async def closed(self) -> bytes:
        """Wait until the server closes the connection; return what it sent until then."""
        found = b""
        async with asyncio.timeout(DEADLINE):
            with suppress(ConnectionError):
                while piece := await self.reader.read(65_536):
                    found += piece
        return found

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


class Served:
    """The API on a socket."""

    def __init__(self, world: ApiWorld, server: ApiServer, port: int) -> None:
        self.world, self.server, self.port = world, server, port
        self._clients = AsyncExitStack()

    async def connect(self) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        self._clients.push_async_callback(client.close)
        return client

    async def connections(self, count: int) -> None:
        """Wait until the server has so many."""
        async with asyncio.timeout(DEADLINE):
            while len(self.server.open_connections) != count:  # noqa: ASYNC110  a count does not notify
                await asyncio.sleep(0.01)

    def request(self, path: str = "/v1/me", more: str = "") -> str:
        token = self.world.tokens[Scope.PARTNER_MANAGE]
        return f"GET {path} HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer {token}\r\n{more}\r\n"

    async def close(self) -> None:
        await self._clients.aclose()


@asynccontextmanager
async def served(
    world: ApiWorld, bounds: ConnectionBounds, proxies: Networks = ()
) -> AsyncIterator[Served]:
    server = api_server(world.dispatcher, proxies, bounds)
    runner = web.ServerRunner(server, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found = Served(world, server, runner.addresses[0][1])
    try:
        yield found
    finally:
        await found.close()
        await runner.cleanup()


async def test_silent_connections_stop_no_healthy_request_and_the_oldest_of_them_go(
    world: ApiWorld,
) -> None:
    bounds = ConnectionBounds(220, 200, LONG, LONG)
    async with served(world, bounds) as api:
        silent = [await api.connect() for _ in range(200)]
        await api.connections(200)
        healthy = await api.connect()
        await healthy.write(api.request())
        assert await healthy.status() == 200
        assert await silent[0].closed() == b""
        await healthy.write(api.request())
        assert await healthy.status() == 200
        assert len(api.server.open_connections) == 200


async def test_a_connection_that_is_answered_is_not_closed_for_another_one(
    world: ApiWorld,
) -> None:
    bounds = ConnectionBounds(2, 2, LONG, LONG)
    async with served(world, bounds) as api:
        busy = [await api.connect() for _ in range(2)]
        for each in busy:
            body = "Content-Type: application/json\r\nContent-Length: 2\r\n"
            await each.write(
                api.request("/v1/subscriptions/crm/test", body).replace("GET", "POST")
            )
        while any(each.is_idle for each in api.server.open_connections):  # noqa: ASYNC110  likewise
            await asyncio.sleep(0.01)
        late = await api.connect()
        assert await late.closed() == b""
        for each in busy:
            await each.write("{}")
            assert await each.status() == 200


async def test_half_a_header_and_silence_end_with_their_time_and_an_answered_one_later(
    world: ApiWorld,
) -> None:
    bounds = ConnectionBounds(header_seconds=0.5, idle_seconds=LONG)
    async with served(world, bounds) as api:
        silent, half, dripping, healthy = [await api.connect() for _ in range(4)]
        await half.write("GET /v1/me HTTP/1.1\r\nHost: a")
        await healthy.write(api.request())
        assert await healthy.status() == 200

        async def drip() -> None:
            with suppress(ConnectionError):
                await dripping.write("GET /v1/me HTTP/1.1\r\n")
                while True:
                    await dripping.write("X-Drip: 1\r\n")
                    await asyncio.sleep(0.05)

        dripper = asyncio.get_running_loop().create_task(drip())
        for each in (silent, half, dripping):
            assert await each.closed() == b""
        await asyncio.wait([dripper], timeout=DEADLINE)
        # It waits for its next request for longer than for headers that have begun.
        await healthy.write(api.request())
        assert await healthy.status() == 200
        await healthy.write("GET /v1/me HTTP/1.1\r\nHost: a")
        assert await healthy.closed() == b""


async def test_a_body_that_does_not_come_is_a_408(
    world: ApiWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "BODY_SECONDS", 0.2)
    async with served(world, PATIENT) as api:
        slow = await api.connect()
        more = "Content-Type: application/json\r\nContent-Length: 9\r\n"
        request = api.request("/v1/subscriptions/crm/test", more).replace("GET", "POST")
        await slow.write(request + "{")
        assert await slow.status() == 408


async def test_a_trusted_proxy_has_as_many_connections_as_there_are(world: ApiWorld) -> None:
    bounds = ConnectionBounds(6, 2, LONG, LONG)
    loopback = [ipaddress.ip_network("127.0.0.0/8")]
    async with served(world, bounds, loopback) as api:
        for _ in range(5):
            await api.connect()
        await api.connections(5)
        client = await api.connect()
        await client.write(api.request("/v1/me", "X-Forwarded-For: 192.0.2.7\r\n"))
        assert await client.status() == 200
        assert world.logger.lines[-1][2]["address"] == "192.0.2.7"
    async with served(world, bounds) as api:
        first = await api.connect()
        for _ in range(4):
            await api.connect()
        assert await first.closed() == b""
        await api.connections(2)


async def test_an_answer_in_pieces_ends_as_one_that_is_whole_or_visibly_not(
    world: ApiWorld,
) -> None:
    async with served(world, PATIENT) as api:
        for fails_after in (None, 1):
            world.services.dead_topic.fails_after = fails_after
            client = await api.connect()
            await client.write(api.request("/v1/dead-letters/export", "Connection: close\r\n"))
            said = await client.closed()
            assert said.startswith(b"HTTP/1.1 200")
            # A chunk of no bytes is the end of a body, the line `end` that of an export.
            is_whole = said.endswith(b"0\r\n\r\n")
            assert (is_whole, b'"kind":"end"' in said) == (fails_after is None,) * 2
