"""Idle connections, kept for the next request to the same origin: bounded in number and in time."""

import asyncio
from typing import NamedTuple

from hookstream.adapters.http.connection import Connection

IDLE_SECONDS = 15.0
"""How long an idle connection is kept where the server names no time of its own.

Common servers close after 5 s (and say so) or after 60 s and more; every connection kept longer
than the server does costs a request sent twice.
"""
IDLE_MARGIN = 1.0
"""Seconds by which we let go before the server's own limit, so that its close meets no request."""
MAX_AGE = 300.0
"""Seconds after which a connection is dialled again: a changed DNS name must be followed."""


class HttpOrigin(NamedTuple):
    """Whom a connection leads to."""

    scheme: str
    host: str
    port: int


class IdlePool:
    """The idle connections of all origins. The one used last is used next; the oldest goes first.

    Args:
        most: How many idle connections are kept, over all origins.
    """

    __slots__ = ("_by_origin", "_loop", "_most", "_origins", "_sweep")

    def __init__(self, loop: asyncio.AbstractEventLoop, most: int) -> None:
        self._loop = loop
        self._most = most
        self._by_origin: dict[HttpOrigin, list[Connection]] = {}
        """Idle connections, the one used last at the end."""
        self._origins: dict[Connection, HttpOrigin] = {}
        """Whom each idle connection leads to, in the order in which they became idle."""
        self._sweep: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """Return how many idle connections are kept."""
        return len(self._origins)

    def take(self, origin: HttpOrigin) -> Connection | None:
        """Return a connection that should still stand and on which nothing waits, or None."""
        wires = self._by_origin.get(origin)
        while wires:
            wire = wires.pop()
            del self._origins[wire]
            if self._loop.time() < wire.idle_until and wire.clean:
                return wire
            wire.abort()
        return None

    def put(self, origin: HttpOrigin, wire: Connection) -> None:
        """Keep a connection for the next request, or close it where it should not be kept."""
        now = self._loop.time()
        wire.idle_until = min(now + _idle_seconds(wire), wire.born + MAX_AGE)
        if not wire.reusable or wire.idle_until <= now:
            wire.abort()
            return
        if len(self._origins) >= self._most:
            oldest = next(iter(self._origins))
            self._forget(oldest)
            oldest.abort()
        wires = self._by_origin.get(origin)
        if wires is None:
            wires = self._by_origin[origin] = []
        wires.append(wire)
        self._origins[wire] = origin
        if self._sweep is None:
            self._sweep = self._loop.call_later(IDLE_SECONDS, self._close_stale)

    def lose(self, wire: Connection) -> None:
        """Forget a connection that ended while it was idle."""
        if wire in self._origins:
            self._forget(wire)

    def close(self) -> None:
        """Close every idle connection."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for wire in list(self._origins):
            self._forget(wire)
            wire.abort()

    def _forget(self, wire: Connection) -> None:
        self._by_origin[self._origins.pop(wire)].remove(wire)

    def _close_stale(self) -> None:
        """Close what nobody took. Runs every `IDLE_SECONDS` while anything is idle."""
        self._sweep = None
        now = self._loop.time()
        for wire in [wire for wire in self._origins if wire.idle_until <= now]:
            self._forget(wire)
            wire.abort()
        for origin in [origin for origin, wires in self._by_origin.items() if not wires]:
            del self._by_origin[origin]
        if self._origins:
            self._sweep = self._loop.call_later(IDLE_SECONDS, self._close_stale)


def _idle_seconds(wire: Connection) -> float:
    if wire.idle_limit is None:
        return IDLE_SECONDS
    return min(IDLE_SECONDS, wire.idle_limit - IDLE_MARGIN)
