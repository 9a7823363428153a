"""Every endpoint of a run in one process: answers as its kind does, and records each request.

    python -m chaos.receiver FOLDER

FOLDER contains `cast.json`; into it go `receipts` (one fixed record a request) and, at the end,
`checked.json`. Each endpoint listens on its own loopback address, as partners do. Commands come
on standard input, a JSON object of endpoint names and kinds a line; its end ends the process.
"""

import asyncio
import json
import os
import random
import socket
import struct
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import httptools
import uvloop
from standardwebhooks import Webhook, WebhookVerificationError

from chaos.cast import Endpoint, webhook_id

RECEIPT = struct.Struct("<dHHH30s")
"""When it came, which endpoint, what was answered, which attempt, whose delivery."""
NEVER = 0
"""In place of a status: no answer, so nothing was accepted."""

_SAMPLE = 16
"""One request in so many is verified: its signature, and that its id follows from its body."""
_FLUSH = 0.05
_FLAKY = 0.1
_HANGING = 0.02
_DOWN_FOR = 0.35
"""Share of each cycle in which an endpoint of that kind is down."""
_GONE_AFTER = 100
_THROTTLES_ABOVE = 60
_SLOW = (0.05, 0.3)

_REASONS = {
    200: b"OK",
    204: b"No Content",
    410: b"Gone",
    429: b"Too Many Requests",
    503: b"Service Unavailable",
}
_KEPT = frozenset(
    {b"webhook-id", b"webhook-timestamp", b"webhook-signature", b"hookstream-attempt"}
)


class Answer(NamedTuple):
    """What an endpoint does about one request."""

    status: int
    after: float = 0.0
    abort: bool = False
    """Without an answer the connection is kept, or reset where this is set."""


_HANG, _RESET = Answer(NEVER), Answer(NEVER, abort=True)


def response(status: int) -> bytes:
    """Return the bytes of an answer without a body."""
    more = b"retry-after: 1\r\n" if status == 429 else b""
    length = b"" if status == 204 else b"content-length: 0\r\n"
    return b"HTTP/1.1 %d %s\r\n%s%s\r\n" % (status, _REASONS[status], length, more)


_RESPONSES = {status: response(status) for status in _REASONS}


class Behaviour:
    """How one endpoint answers; its kind may be changed while it runs."""

    def __init__(self, endpoint: Endpoint, number: int, cycle: float) -> None:
        self.endpoint = endpoint
        self.number = number
        self.kind = endpoint.kind
        self.webhook = Webhook(endpoint.secret)
        self.requests = 0
        self._cycle = cycle
        self._second = self._in_second = 0
        self._dice = random.Random(number)
        self._phase = self._dice.random() * cycle
        self._kinds: dict[str, Callable[[float], Answer]] = {
            "healthy": lambda _: Answer(204),
            "slow": lambda _: Answer(200, self._dice.uniform(*_SLOW)),
            "flaky": lambda _: Answer(503 if self._dice.random() < _FLAKY else 204),
            "down": lambda now: self._down() if self._in_window(now) else Answer(204),
            "throttling": lambda now: Answer(429 if self._too_many(now) else 204),
            "hanging": lambda _: _HANG if self._dice.random() < _HANGING else Answer(204),
            "gone": lambda _: Answer(410 if self.requests > _GONE_AFTER else 204),
            "dead": lambda _: self._down(),
            "hung": lambda _: _HANG,
        }

    def answer(self) -> Answer:
        """Return what to do about a request that came now."""
        self.requests += 1
        return self._kinds[self.kind](time.monotonic())

    def _down(self) -> Answer:
        return _RESET if self._dice.random() < 0.5 else Answer(503)

    def _too_many(self, now: float) -> bool:
        """Count requests by whole seconds, and take no more than so many in each."""
        if int(now) != self._second:
            self._second, self._in_second = int(now), 0
        self._in_second += 1
        return self._in_second > _THROTTLES_ABOVE

    def _in_window(self, now: float) -> bool:
        return (now + self._phase) % self._cycle < _DOWN_FOR * self._cycle


class Book:
    """What came, in a file of fixed records, and what a sample of it looked like."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / "receipts").open("ab", buffering=0)
        self._checked = folder / "checked.json"
        self._waiting = bytearray()
        self.requests = self.sampled = self.forged = self.strange_ids = 0

    def note(self, at: float, endpoint: int, status: int, attempt: int, name: bytes) -> None:
        """Write down one request as it was answered."""
        self.requests += 1
        self._waiting += RECEIPT.pack(at, endpoint, status, attempt, name)

    def check(self, behaviour: Behaviour, headers: dict[str, str], body: bytes) -> None:
        """Verify a signature by an independent library, and that the id is the event's own."""
        self.sampled += 1
        try:
            said = behaviour.webhook.verify(body, headers)
        except WebhookVerificationError:
            self.forged += 1
            return
        due = webhook_id(said["type"], said["id"], behaviour.endpoint.name)
        self.strange_ids += headers["webhook-id"] != due

    def flush(self) -> None:
        """Hand what waits to the kernel, which keeps it however this process ends."""
        if self._waiting:
            self._file.write(self._waiting)
            self._waiting = bytearray()

    def close(self) -> None:
        """Write what is left, and the summary."""
        self.flush()
        self._file.close()
        checked = {
            "requests": self.requests,
            "sampled": self.sampled,
            "forged": self.forged,
            "strange_ids": self.strange_ids,
        }
        self._checked.write_text(json.dumps(checked))


class Connection(asyncio.Protocol):
    """One connection to one endpoint."""

    def __init__(self, behaviour: Behaviour, book: Book) -> None:
        self._behaviour = behaviour
        self._book = book
        self._parser = httptools.HttpRequestParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what is written to."""
        # uvloop's own transports are no subclass of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that nothing can be answered any more."""
        del exc
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Parse; what is no HTTP ends the connection."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._abort()

    def on_message_begin(self) -> None:
        """Forget the request before."""
        self._headers = {}
        self._body = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the few headers that matter."""
        name = name.lower()
        if name in _KEPT:
            self._headers[name] = value

    def on_body(self, body: bytes) -> None:
        """Keep the body for a possible check."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Answer as this endpoint does."""
        at = time.time()
        behaviour = self._behaviour
        answer = behaviour.answer()
        name = self._headers.get(b"webhook-id", b"")
        attempt = int(self._headers.get(b"hookstream-attempt", b"0"))
        if behaviour.requests % _SAMPLE == 1:
            headers = {key.decode(): value.decode() for key, value in self._headers.items()}
            self._book.check(behaviour, headers, b"".join(self._body))
        if answer.after:
            asyncio.get_running_loop().call_later(
                answer.after, self._finish, at, answer, attempt, name
            )
        else:
            self._finish(at, answer, attempt, name)

    def _finish(self, at: float, answer: Answer, attempt: int, name: bytes) -> None:
        """Answer, and record it: nothing counts as accepted once the client has disconnected."""
        transport, status = self._transport, answer.status
        if transport is None or transport.is_closing():
            status = NEVER
        elif status != NEVER:
            transport.write(_RESPONSES[status])
        elif answer.abort:
            self._abort()
        self._book.note(at, self._behaviour.number, status, attempt, name)

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


async def serve(folder: Path) -> None:
    """Listen at every endpoint's address until standard input ends."""
    cast = json.loads((folder / "cast.json").read_text())
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_give_up)
    book = Book(folder)
    behaviours: dict[str, Behaviour] = {}
    servers = []
    for number, row in enumerate(cast["endpoints"]):
        behaviour = Behaviour(Endpoint(**row), number, cast["cycle"])
        behaviours[behaviour.endpoint.name] = behaviour
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((behaviour.endpoint.address, cast["port"]))
        servers.append(
            await loop.create_server(
                partial(Connection, behaviour, book),
                sock=listener,
                backlog=1024,
            )
        )
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    (folder / "listening").touch()
    async with asyncio.TaskGroup() as tasks:
        flushing = tasks.create_task(_flush(book))
        while line := await commands.readline():
            for name, kind in json.loads(line).items():
                behaviours[name].kind = kind
        flushing.cancel()
    book.close()
    for server in servers:
        server.close()


def _give_up(loop: asyncio.AbstractEventLoop, about: dict[str, Any]) -> None:
    """End at a defect of ours: what is not counted must not look like a loss."""
    loop.default_exception_handler(about)
    os._exit(1)


async def _flush(book: Book) -> None:
    while True:
        await asyncio.sleep(_FLUSH)
        book.flush()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1])))
