"""A link between a process and a server that can be cut: bytes stop, connections stay.

So a network fails: without notice. What was in flight when the link was cut arrives once it is restored.
"""

import asyncio
import contextlib
from types import TracebackType
from typing import Self


class Link:
    """Forwards every connection to a server while it is whole; an async context manager."""

    def __init__(self, to: int, host: str = "127.0.0.1") -> None:
        """Forward to a port of a host."""
        self.port = 0
        """Where it listens."""
        self._host, self._to = host, to
        self._whole = asyncio.Event()
        self._whole.set()
        self._server: asyncio.Server | None = None
        self._closed = False
        self._tasks = asyncio.TaskGroup()
        self._pumps: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Listen."""
        await self._tasks.__aenter__()
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Close everything."""
        self._closed = True
        if self._server is not None:
            self._server.close()
        for pump in list(self._pumps):
            pump.cancel()
        await self._tasks.__aexit__(kind, error, at)

    def cut(self) -> None:
        """Let no byte through, in either direction."""
        self._whole.clear()

    def mend(self) -> None:
        """Let everything through again, and what waits first."""
        self._whole.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._whole.wait()
        try:
            there, onward = await asyncio.open_connection(self._host, self._to)
        except OSError:
            writer.close()
            return
        if self._closed:
            onward.close()
            writer.close()
            return
        for source, sink in ((reader, onward), (there, writer)):
            pump = self._tasks.create_task(self._pump(source, sink))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.closing(sink), contextlib.suppress(ConnectionError):
            while data := await source.read(65_536):
                await self._whole.wait()
                sink.write(data)
                await sink.drain()
