"""The writer of a story's tables: a change is decided first and appended later, in time or not at all.

As `entry/admin/writing.py` makes changes: one after the other, each on the rows as they are when it begins. If its
row would be appended too late for the instant from which it is in effect, nothing of it is written, and it begins
again with a longer lead.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from tests.simulation.expectation import AHEAD
from tests.simulation.tables import Row

from hookstream.core.model.instant import Millis
from hookstream.core.planning.lead import ChangeTimes, lead_for

if TYPE_CHECKING:
    from tests.simulation.world import World

LONGER = 1.5
"""How much longer than it took a change that begins again may take."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a writer has decided, by the rows as they were then."""

    append: Callable[[], None]
    """Appends its rows, all at once."""
    committed: Callable[[], None] = lambda: None
    """Begins what is written with them."""


Decide: TypeAlias = Callable[[ChangeTimes], Change | None]
"""Decides a change that begins now; None: there is nothing to change."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How slowly changes are written."""

    attempts: tuple[float, ...]
    """Seconds from the beginning of each attempt of a change until its rows are appended."""
    open_for: float = 0.0
    """Seconds from there until their transaction ends, committed or aborted."""


class TableWriter:
    """Writes changes one after the other."""

    def __init__(self, world: "World") -> None:
        self.pace: Pace | None = None
        """None: a change is decided, appended and committed in one instant."""
        self.idle = asyncio.Event()
        self.idle.set()
        self.spawn: Callable[[Coroutine[object, object, None]], None]
        """Runs a change that takes a while, until the story ends."""
        self._world = world
        self._turn = asyncio.Lock()
        self._under_way = 0

    def change(self, decide: Decide, *, dated: bool = True) -> None:
        """Make a change; `dated`: it is in effect from an instant on, by which every worker must have read it."""
        pace = self.pace
        if pace is None and self.idle.is_set():
            change = decide(self._times(AHEAD))
            if change is not None:
                change.append()
                change.committed()
            return
        self._under_way += 1
        self.idle.clear()
        self.spawn(self._in_turn(decide, pace or Pace((0.0,)), dated=dated))

    async def _in_turn(self, decide: Decide, pace: Pace, *, dated: bool) -> None:
        async with self._turn:
            await self._change(decide, pace, dated=dated)
        self._under_way -= 1
        if not self._under_way:
            self.idle.set()

    async def _change(self, decide: Decide, pace: Pace, *, dated: bool) -> None:
        world, lead = self._world, AHEAD
        for seconds in pace.attempts:
            times = self._times(lead)
            change = decide(times)
            if change is None:
                return
            await asyncio.sleep(seconds)
            await world.broker.up.wait()
            took = world.clock.now() - times.begun
            late = dated and took > world.parts.writing_time(lead)
            world.hidden_for = pace.open_for
            if late:
                world.ledger.note(f"a change is aborted: it took {took} ms of {lead}")
                world.write_row(Row())
            else:
                world.ledger.note(f"a change is appended after {took} ms of {lead}")
                change.append()
            world.hidden_for = 0.0
            await asyncio.sleep(pace.open_for)
            if not late:
                change.committed()
                return
            lead = max(lead, lead_for(int(LONGER * took)))
        world.ledger.note("a change is given up")

    def _times(self, lead: Millis) -> ChangeTimes:
        now = self._world.clock.now()
        return ChangeTimes(now, now + lead)
