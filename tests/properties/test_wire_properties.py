"""What belongs to one answer never leaks into the next, however a server frames and cuts its bytes."""

import asyncio
import itertools
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hookstream.adapters.http.connection import MAX_HEAD, Connection
from hookstream.adapters.http.deadlines import Deadlines
from hookstream.core.model.outcome import FailureKind, Response, TransportFailure

LARGEST = 1_000
"""Bytes of a body that the wire reads."""


class MemoryTransport(asyncio.Transport):
    """A connection whose other side is the test."""

    def __init__(self, end: socket.socket) -> None:
        super().__init__({"socket": end})
        self.closed = False
        self.written = 0

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def write(self, data: object) -> None:
        del data
        self.written += 1

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True


@dataclass(frozen=True)
class Sent:
    """One answer as a server frames it, and what a reader must make of it."""

    head: bytes
    rest: bytes
    """What follows the head: a body, a wrong one, or bytes that belong to no answer."""
    status: int
    retry_after: str | None
    keeps: bool
    """True: the answer is complete and consistent, and both sides continue."""


INTERIM = st.sampled_from(
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nRetry-After: 99\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\nContent-Length: 7\r\n\r\n",
    ]
)


@st.composite
def answers(draw: st.DrawFn) -> Sent:
    status = draw(st.sampled_from([200, 201, 204, 204, 304, 410, 429, 500, 503, 999]))
    retry_after = draw(st.none() | st.sampled_from(["0", "5", "1000000000", "-1"]))
    body = draw(st.binary(max_size=30))
    bodiless = status in (204, 304)
    framings = (
        ["length", "chunked", "close", "nothing"] if not bodiless else ["nothing", "lie", "zero"]
    )
    framing = draw(st.sampled_from(framings))
    surplus = draw(st.sampled_from([b""] * 6 + [b"OK", b"\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"H"]))
    lines = [f"HTTP/1.1 {status} Some Reason".encode()]
    if retry_after is not None:
        lines.append(b"Retry-After: " + retry_after.encode())
    keeps = not surplus
    rest = surplus
    match framing:
        case "length":
            lines.append(b"Content-Length: %d" % len(body))
            rest = body + surplus
        case "chunked":
            lines.append(b"Transfer-Encoding: chunked")
            rest = (b"%x\r\n%s\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n" + surplus
        case "close":
            lines.append(b"Connection: close")
            lines.append(b"Content-Length: %d" % len(body))
            rest, keeps = body + surplus, False
        case "lie":
            lines.append(b"Content-Length: %d" % (len(body) + 1))
            rest, keeps = draw(st.sampled_from([b"", body + b"x"])), False
        case "zero":
            lines.append(b"Content-Length: 0")
        case _ if not bodiless:
            # Its body ends with the connection: it is never complete while that is open.
            rest, keeps = body + surplus, False
        case _:
            pass
    interim = b"".join(draw(st.lists(INTERIM, max_size=3)))
    return Sent(interim + b"\r\n".join([*lines, b"", b""]), rest, status, retry_after, keeps)


@contextmanager
def a_wire(loop: asyncio.AbstractEventLoop) -> Iterator[tuple[Connection, MemoryTransport]]:
    here, there = socket.socketpair()
    with here, there:
        transport = MemoryTransport(here)
        wire = Connection(loop, Deadlines(loop), LARGEST)
        wire.take_over(transport)
        yield wire, transport


async def exchange(
    wire: Connection, transport: MemoryTransport, sent: Sent, cuts: list[int]
) -> Response | TransportFailure:
    loop = asyncio.get_running_loop()
    asking = loop.create_task(wire.exchange(b"POST / HTTP/1.1\r\n\r\n", loop.time() + 30))
    await asyncio.sleep(0)
    data = sent.head + sent.rest
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, end in itertools.pairwise(edges):
        if not transport.closed:
            wire.data_received(data[start:end])
    if not sent.keeps and not asking.done():
        # An answer whose body the connection ends, or that declares more than it has.
        transport.closed = True
        wire.connection_lost(None)
    return cast("Response | TransportFailure", await asking)


@settings(max_examples=150)
@given(
    course=st.lists(st.tuples(answers(), st.lists(st.integers(0, 500), max_size=6)), max_size=6)
)
async def test_each_request_gets_its_own_answer_or_another_connection(
    course: list[tuple[Sent, list[int]]],
) -> None:
    loop = asyncio.get_running_loop()
    with a_wire(loop) as (wire, transport):
        for sent, cuts in course:
            answer = await exchange(wire, transport, sent, cuts)

            assert isinstance(answer, Response), answer
            assert (answer.status, answer.retry_after) == (sent.status, sent.retry_after)
            if not wire.reusable:
                assert not sent.keeps
                return
            # A kept connection can be reused: no more of this answer follows.
            assert sent.keeps


@settings(max_examples=150)
@given(data=st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=8))
async def test_whatever_arrives_is_an_answer_or_a_failure_and_foreign_bytes_are_distinguished(
    data: list[bytes],
) -> None:
    loop = asyncio.get_running_loop()
    with a_wire(loop) as (wire, transport):
        asking = loop.create_task(wire.exchange(b"POST / HTTP/1.1\r\n\r\n", loop.time() + 30))
        await asyncio.sleep(0)
        for piece in data:
            if not transport.closed:
                wire.data_received(piece)
        if not asking.done():
            transport.closed = True
            wire.connection_lost(None)
        answer = await asking
    stream = b"".join(data)
    if not stream.startswith(b"HTTP/"):
        assert isinstance(answer, TransportFailure)
        if answer.kind is FailureKind.PROTOCOL and not b"HTTP/".startswith(stream[:5]):
            assert wire.answered_strangely


@given(status=st.integers(0, 99), cuts=st.lists(st.integers(0, 60), max_size=3))
async def test_a_number_below_a_hundred_is_no_status(status: int, cuts: list[int]) -> None:
    line = b"HTTP/1.1 %03d What\r\nContent-Length: 0\r\n\r\n" % status
    with a_wire(asyncio.get_running_loop()) as (wire, transport):
        sent = Sent(line, b"", status, None, keeps=False)
        answer = await exchange(wire, transport, sent, cuts)
    assert isinstance(answer, TransportFailure)
    assert answer.kind is FailureKind.PROTOCOL
    assert not wire.reusable


@pytest.mark.parametrize("endless", [(b"0\r\n", b"retry-after: 86400\r\n"), (b"1", b";a=b")])
async def test_framing_and_trailers_are_read_up_to_a_bound_and_change_no_answer(
    endless: tuple[bytes, bytes],
) -> None:
    begins, piece = endless
    loop, read = asyncio.get_running_loop(), 0
    with a_wire(loop) as (wire, transport):
        asking = loop.create_task(wire.exchange(b"POST / HTTP/1.1\r\n\r\n", loop.time() + 30))
        await asyncio.sleep(0)
        wire.data_received(b"HTTP/1.1 503 X\r\ntransfer-encoding: chunked\r\n\r\n" + begins)
        while not transport.closed and read < 10 * MAX_HEAD:
            wire.data_received(piece)
            read += len(piece)
        assert await asking == Response(503)
    assert read <= MAX_HEAD + LARGEST


async def test_unread_bytes_make_a_connection_unusable() -> None:
    here, there = socket.socketpair()
    with here, there:
        loop = asyncio.get_running_loop()
        wire = Connection(loop, Deadlines(loop), LARGEST)
        wire.take_over(MemoryTransport(here))
        assert wire.clean
        there.send(b"x")
        assert not wire.clean
