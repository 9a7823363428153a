"""The tables of a story: their rows, and what one process has read of them."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.doubles.virtual_time import VirtualTimeLoop

from hookstream.core.matching.directory import Directory
from hookstream.core.model.freshness import FRESH_FOR
from hookstream.core.model.hold import ALL, HoldKind
from hookstream.core.outcome.health import HealthBook

if TYPE_CHECKING:
    from tests.simulation.world import Host, World

ASK_EVERY = 0.5
"""Seconds between two queries for the ends of the tables."""
assert ASK_EVERY < FRESH_FOR
READS_WITHIN = 0.1
"""Seconds within which a reader knows that it stands at the present ends."""
RECONNECTS_WITHIN = 0.1
"""Seconds after which a client that lost its link tries again."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table: what it changes, and which hold it sets or clears."""

    change: Callable[[Directory], None] = lambda _: None
    health: Callable[[HealthBook], None] = lambda _: None
    holds: tuple[HoldKind, str] | None = None
    clears: bool = False
    appended: float = 0.0
    """When it was, in seconds of the story; only of one whose transaction stays open."""
    over: float = 0.0
    """When its transaction ends: until then nobody reads it, nor what is behind it."""


def holds_over(who: str, event_type: str) -> list[tuple[HoldKind, str]]:
    """Return the holds that would stop a delivery."""
    return [
        (HoldKind.EVERYTHING, ALL),
        (HoldKind.PARTNER, "acme"),
        (HoldKind.ENDPOINT, who),
        (HoldKind.EVENT_TYPE, event_type),
    ]


class View:
    """The tables as one process has read them: fits `Tables`."""

    def __init__(self, world: "World", host: "Host") -> None:
        self.directory = world.parts.directory(host)
        self.health = HealthBook()
        self._world = world
        self._host = host
        self._seconds = asyncio.get_running_loop().time
        self._unread: deque[tuple[float, Row]] = deque()
        self._next = 0.0
        self.held: set[tuple[HoldKind, str]] = set()
        """The holds that this process knows of."""
        for row in world.rows:
            if self._unread or row.over > self._seconds():
                self.read(row)
            else:
                self._take(row)
        world.views.append(self)

    def current(self) -> bool:
        if not self._unread and self._host.link.up.is_set():
            return True  # the ends that it asked for last are not half a second old
        asked = self._host.link.reached_until() // ASK_EVERY * ASK_EVERY
        if self._unread:
            asked = min(asked, self._unread[0][0])
        return self._seconds() - asked <= FRESH_FOR

    async def read_on(self, point: Callable[[], Awaitable[None]]) -> None:
        """Read the tables to their present ends."""
        await point()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        await loop.until(lambda: not self._unread and self.current(), READS_WITHIN)

    def read(self, row: Row) -> None:
        """Read a row once the host's lag has passed, after every earlier one."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._unread.append((row.appended or now, row))
        self._next = max(self._next, max(row.over, now) + self._host.lag)
        loop.call_at(self._next, self._read)

    def _read(self) -> None:
        if not self._host.link.up.is_set():
            loop = asyncio.get_running_loop()
            self._next = max(self._next, loop.time() + RECONNECTS_WITHIN)
            loop.call_later(RECONNECTS_WITHIN, self._read)
            return
        self._take(self._unread.popleft()[1])

    def _take(self, row: Row) -> None:
        row.change(self.directory)
        row.health(self.health)
        if row.holds is not None:
            (self.held.discard if row.clears else self.held.add)(row.holds)

    def holds(self, who: str, event_type: str) -> bool:
        """Return whether a delivery is held, as far as this process knows."""
        return not self.held.isdisjoint(holds_over(who, event_type))

    def close(self) -> None:
        if self in self._world.views:
            self._world.views.remove(self)
