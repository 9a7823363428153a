"""Many deadlines on one timer: what still waits when its time is over is told so, a little late.

A timer of the event loop costs 3 µs to set and cancel, and nearly every attempt only ever cancels
its own. Here setting and cancelling is an entry in a set, and one timer serves them all.
"""

import asyncio
from typing import Protocol

TICKS = 20
"""A second: nothing hears of its deadline more than 50 ms after it, nothing before it."""


class HasDeadline(Protocol):
    """Who waits for something."""

    def late(self) -> None:
        """Learn that the time is over."""


class Deadlines:
    """The deadlines of one event loop."""

    __slots__ = ("_due", "_loop", "_next", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due: dict[int, set[HasDeadline]] = {}
        self._next = 0
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, waiting: HasDeadline, at: float) -> set[HasDeadline]:
        """Call `late` at this loop time unless `waiting` is discarded from the returned set first."""
        tick = int(at * TICKS) + 1
        together = self._due.get(tick)
        if together is None:
            together = self._due[tick] = set()
            if self._timer is None:
                self._next = int(self._loop.time() * TICKS)
                self._timer = self._loop.call_later(1 / TICKS, self._turn)
            # A deadline that is over already is told of in the next turn.
            self._next = min(self._next, tick)
        together.add(waiting)
        return together

    def close(self) -> None:
        """Tell nobody any more."""
        if self._timer is not None:
            self._timer.cancel()
        self._due.clear()

    def _turn(self) -> None:
        """Tell everyone whose tick has begun; runs while there is any deadline ahead."""
        now = int(self._loop.time() * TICKS)
        for tick in range(self._next, now + 1):
            for waiting in list(self._due.pop(tick, ())):
                waiting.late()
        self._next = now + 1
        again = bool(self._due)
        self._timer = self._loop.call_later(1 / TICKS, self._turn) if again else None
