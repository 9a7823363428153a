"""What a client may write on a connection that no HTTP library would: each of it is answered, cheaply, and not logged."""

import asyncio
import zlib
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import web
from tests.doubles.api import ApiWorld

from hookstream.core.access.scopes import Scope
from hookstream.entry.api.transport import api_server

pytestmark = pytest.mark.timeout(300)

DEADLINE = 120.0
INFLATED = 8 << 20


@pytest.fixture
def world() -> ApiWorld:
    return ApiWorld()


def compressed(coding: str) -> bytes:
    """Return a small body that would be very large."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, 31 if coding == "gzip" else 15)
    piece = bytes(1 << 20)
    pieces = [deflater.compress(piece) for _ in range(INFLATED >> 20)]
    return b"".join((*pieces, deflater.flush()))


async def answers(world: ApiWorld, *requests: bytes) -> list[bytes]:
    """Send each request on a connection of its own; return all that came back on it."""
    runner = web.ServerRunner(api_server(world.dispatcher, ()))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        return [await _answer(runner.addresses[0][1], each) for each in requests]
    finally:
        await runner.cleanup()


async def _answer(port: int, request: bytes) -> bytes:
    found = b""
    async with asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        with suppress(ConnectionError):
            while piece := await reader.read(65_536):
                found += piece
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
    return found


def post(world: ApiWorld | None, more: bytes, body: bytes) -> bytes:
    """Return a request that sends a test event; without a world: one without a token."""
    token = b"" if world is None else world.tokens[Scope.PARTNER_MANAGE].encode()
    lines = (
        b"POST /v1/subscriptions/crm/test HTTP/1.1",
        b"Host: api",
        b"Connection: close",
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(body),
        *((b"Authorization: Bearer " + token,) if token else ()),
        more,
    )
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


async def test_a_compressed_body_is_refused_and_never_inflated(
    world: ApiWorld, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it follows an answer: what a client without a token sends after it is dropped as it is."""
    inflated: list[int] = []
    inflate = zlib.decompressobj

    def counted(*given: Any, **named: Any) -> Any:  # noqa: ANN401  As zlib takes and gives them
        inflated.append(1)
        return inflate(*given, **named)

    monkeypatch.setattr(zlib, "decompressobj", counted)
    requests = [
        post(whose, b"Content-Encoding: " + coding.encode(), body)
        for whose in (world, None)
        for coding in ("gzip", "deflate")
        for body in (compressed(coding), b"neither of them")
    ]
    found = await answers(world, *requests)
    assert [int(each.split()[1]) for each in found] == [415] * 4 + [401] * 4
    assert b'"field":"content-encoding"' in found[0]
    assert inflated == []
    assert caplog.records == []


@pytest.mark.parametrize("name", ["If-Match", "Idempotency-Key", "Traceparent", "X-Request-Id"])
async def test_bytes_that_are_no_text_in_a_header_are_no_defect(
    world: ApiWorld, name: str
) -> None:
    world.fails_at_defects = False
    more = name.encode() + b": \xff\xed\xa0\x80"
    if name != "Idempotency-Key":
        more += b"\r\nIdempotency-Key: once"
    (found,) = await answers(world, post(world, more, b"{}"))
    assert int(found.split()[1]) in (200, 422), found
