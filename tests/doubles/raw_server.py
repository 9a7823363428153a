"""A TCP server on the loopback whose every byte a test scripts: the worst partners.

Each request (not each connection) gets the next play of the script, the last one for ever.
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Self, TypeAlias


@dataclass(slots=True)
class Conversation:
    """One connection, as the server has it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, data: bytes) -> None:
        """Send bytes."""
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """End the connection with RST, as a crashing process or a firewall does."""
        sock: socket.socket = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def close(self) -> None:
        """End the connection in order."""
        self.writer.close()


Play: TypeAlias = Callable[[Conversation], Awaitable[None]]


def say(*pieces: bytes, every: float = 0.0, close: bool = False) -> Play:
    """Send these bytes, one piece `every` that many seconds."""

    async def play(conversation: Conversation) -> None:
        for number, piece in enumerate(pieces):
            await asyncio.sleep(every if number else 0)
            await conversation.say(piece)
        if close:
            conversation.close()

    return play


def response(status: int = 204, *headers: str, body: bytes = b"", after: float = 0.0) -> Play:
    """Answer properly, `after` that many seconds."""
    lines = [f"HTTP/1.1 {status} Some Reason", *headers]
    if status != 204:
        lines.append(f"Content-Length: {len(body)}")
    data = "\r\n".join([*lines, "", ""]).encode() + body

    async def play(conversation: Conversation) -> None:
        await asyncio.sleep(after)
        await conversation.say(data)

    return play


async def hang(_: Conversation) -> None:
    """Never answer."""
    await asyncio.get_running_loop().create_future()


async def reset(conversation: Conversation) -> None:
    """Reset the connection instead of answering."""
    conversation.reset()


async def close(conversation: Conversation) -> None:
    """Close the connection instead of answering."""
    conversation.close()


@dataclass(slots=True, frozen=True)
class Seen:
    """A request as it came off the wire."""

    connection: int
    """Number of the connection it came on, from 1."""
    line: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(slots=True)
class RawServer:
    """The server. `async with RawServer(response(204)) as server: ... server.url`."""

    script: list[Play]
    tls: ssl.SSLContext | None = None
    read_body: bool = True
    seen: list[Seen] = field(default_factory=list)
    ended: int = 0
    """Connections that are over."""
    connections: int = 0
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """Where it listens, by number."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/hook"

    def play(self, *plays: Play) -> None:
        """Behave so from the next request on."""
        self.script = list(plays)

    async def wait_until(self, true: Callable[["RawServer"], bool]) -> None:
        """Wait until a condition is true: checked after each request and each end."""
        while not true(self):
            self._changed.clear()
            await self._changed.wait()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks) if self._tasks else None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        number = self.connections
        try:
            while not writer.is_closing():
                self.seen.append(await self._read(reader, number))
                self._changed.set()
                await self._play(Conversation(reader, writer))
        except (
            ConnectionError,
            asyncio.IncompleteReadError,
            # The rest of a body that is not read is no head of a request.
            asyncio.LimitOverrunError,
            asyncio.CancelledError,
            ssl.SSLError,
        ):
            writer.transport.abort()
        finally:
            self.ended += 1
            self._tasks.discard(task)
            self._changed.set()

    async def _play(self, conversation: Conversation) -> None:
        play = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        playing = asyncio.ensure_future(play(conversation))  # noqa: TID251 - ended just below
        gone = asyncio.ensure_future(_gone(conversation.reader))  # noqa: TID251
        try:
            await asyncio.wait({playing, gone}, return_when=asyncio.FIRST_COMPLETED)
            if playing.done():
                playing.result()
            elif gone.done() and gone.result():
                raise ConnectionResetError
            else:
                await playing
        finally:
            playing.cancel()
            gone.cancel()

    async def _read(self, reader: asyncio.StreamReader, number: int) -> Seen:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *rest = head.split("\r\n")[:-2]
        headers = tuple(
            (name, value) for name, _, value in (each.partition(": ") for each in rest)
        )
        length = next(
            (int(value) for name, value in headers if name.lower() == "content-length"), 0
        )
        body = await reader.readexactly(length) if self.read_body else b""
        return Seen(number, line, headers, body)


async def _gone(reader: asyncio.StreamReader) -> bool:
    """Wait until the other side is gone: a script that hangs must detect it."""
    while not reader.at_eof():
        if reader.exception() is not None:
            return True
        await asyncio.sleep(0.01)
    return True


def server(*plays: Play, tls: ssl.SSLContext | None = None, read_body: bool = True) -> RawServer:
    """Return a server that is not started yet."""
    return RawServer(list(plays), tls, read_body)


def names(headers: Sequence[tuple[str, str]]) -> list[str]:
    """Return the names of headers."""
    return [name for name, _ in headers]
