"""Keeps idle connections for reuse by origin, bounded in number and in time."""

import asyncio
from typing import NamedTuple

from hookstream.adapters.http.connection import Connection

IDLE_SECONDS = 15.0
"""How long an idle connection is kept if the server names no timeout.

Common servers close after 5 s (and announce it) or after 60 s and more; a connection kept longer
than the server keeps it makes a request be sent twice.
"""
IDLE_MARGIN = 1.0
"""Seconds before the server's limit at which we close, so that its close never meets a request."""
MAX_AGE = 300.0
"""Seconds after which a connection is replaced, so that DNS changes take effect."""


class HttpOrigin(NamedTuple):
    """The origin of a connection, and the TLS identity that it was opened with."""

    scheme: str
    host: str
    port: int
    identity: bytes = b""
    """The digest of the TLS identity; empty for none."""


class IdlePool:
    """The idle connections of all origins: reuse takes the most recently used one, eviction the oldest.

    Args:
        most: The most idle connections kept, over all origins.
    """

    __slots__ = ("_by_origin", "_loop", "_most", "_origins", "_sweep")

    def __init__(self, loop: asyncio.AbstractEventLoop, most: int) -> None:
        self._loop = loop
        self._most = most
        self._by_origin: dict[HttpOrigin, list[Connection]] = {}
        """Idle connections, the one used last at the end."""
        self._origins: dict[Connection, HttpOrigin] = {}
        """Origin of each idle connection, in the order in which they became idle."""
        self._sweep: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """Return the number of idle connections."""
        return len(self._origins)

    def take(self, origin: HttpOrigin) -> Connection | None:
        """Return a connection that is probably open and has nothing unread, or None."""
        connections = self._by_origin.get(origin)
        while connections:
            connection = connections.pop()
            del self._origins[connection]
            if self._loop.time() < connection.idle_until and connection.clean:
                return connection
            connection.abort()
        return None

    def put(self, origin: HttpOrigin, connection: Connection) -> None:
        """Keep a connection for the next request, or close it if it should not be kept."""
        now = self._loop.time()
        connection.idle_until = min(now + _idle_seconds(connection), connection.born + MAX_AGE)
        if not connection.reusable or connection.idle_until <= now:
            connection.abort()
            return
        if len(self._origins) >= self._most:
            oldest = next(iter(self._origins))
            self._forget(oldest)
            oldest.abort()
        connections = self._by_origin.get(origin)
        if connections is None:
            connections = self._by_origin[origin] = []
        connections.append(connection)
        self._origins[connection] = origin
        if self._sweep is None:
            self._sweep = self._loop.call_later(IDLE_SECONDS, self._close_stale)

    def lose(self, connection: Connection) -> None:
        """Remove a connection that ended while it was idle."""
        if connection in self._origins:
            self._forget(connection)

    def close_identity(self, identity: bytes) -> None:
        """Close the idle connections that were opened with a TLS identity."""
        for connection, origin in list(self._origins.items()):
            if origin.identity == identity:
                self._forget(connection)
                connection.abort()

    def close(self) -> None:
        """Close every idle connection."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for connection in list(self._origins):
            self._forget(connection)
            connection.abort()

    def _forget(self, connection: Connection) -> None:
        self._by_origin[self._origins.pop(connection)].remove(connection)

    def _close_stale(self) -> None:
        """Close unused connections. Runs every `IDLE_SECONDS` while any is idle."""
        self._sweep = None
        now = self._loop.time()
        for connection in [
            connection for connection in self._origins if connection.idle_until <= now
        ]:
            self._forget(connection)
            connection.abort()
        for origin in [
            origin for origin, connections in self._by_origin.items() if not connections
        ]:
            del self._by_origin[origin]
        if self._origins:
            self._sweep = self._loop.call_later(IDLE_SECONDS, self._close_stale)


def _idle_seconds(connection: Connection) -> float:
    if connection.idle_limit is None:
        return IDLE_SECONDS
    return min(IDLE_SECONDS, connection.idle_limit - IDLE_MARGIN)
