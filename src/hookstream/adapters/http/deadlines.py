"""Serves many deadlines with one timer: each is notified at its time or slightly later.

A timer of the event loop costs 3 µs to set and cancel, and nearly every attempt cancels its own.
Here, setting and cancelling is an entry in a set, and one timer serves all.
"""

import asyncio
from typing import Protocol

TICKS = 20
"""Ticks per second: a deadline is notified at most 50 ms late, and never early."""


class HasDeadline(Protocol):
    """Something with a deadline."""

    def late(self) -> None:
        """Handle the deadline."""


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
            # A deadline that has passed is notified at the next tick.
            self._next = min(self._next, tick)
        together.add(waiting)
        return together

    def close(self) -> None:
        """Stop notifying."""
        if self._timer is not None:
            self._timer.cancel()
        self._due.clear()

    def _turn(self) -> None:
        """Notify all whose tick has begun; runs while any deadline is pending."""
        now = int(self._loop.time() * TICKS)
        for tick in range(self._next, now + 1):
            for waiting in list(self._due.pop(tick, ())):
                waiting.late()
        self._next = now + 1
        again = bool(self._due)
        self._timer = self._loop.call_later(1 / TICKS, self._turn) if again else None
