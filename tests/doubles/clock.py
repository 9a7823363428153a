"""Clocks that tests can set: one over the running loop's (virtual) time, one moved by hand."""

import asyncio
from collections.abc import Callable
from math import ceil

from hookstream.core.model.freshness import Moment
from hookstream.core.model.instant import Millis, from_rfc3339

NOON = from_rfc3339("2026-11-24T12:00:00Z")
"""When the doubles' world starts, by default."""


class LoopClock:
    """A Clock whose time is the running loop's, so that a jump of the loop's time is a jump of the clock.

    `start` is the wall-clock time at the clock's first use on a loop.
    """

    def __init__(self, start: Millis = NOON) -> None:
        self._start = start
        self._zero = 0.0
        self._time: Callable[[], float] = self._begin

    def now(self) -> Millis:
        return self._start + round((self._time() - self._zero) * 1000)

    def monotonic(self) -> float:
        return self._time() - self._zero

    def moment(self) -> Moment:
        return Moment(self.monotonic(), self.now() / 1000)

    def _begin(self) -> float:
        loop = asyncio.get_running_loop()
        self._time, self._zero = loop.time, loop.time()
        return self._zero


class HandClock:
    """A Clock that moves only when it is set; needs no loop."""

    def __init__(self, start: Millis = NOON) -> None:
        self.at = start

    def now(self) -> Millis:
        return self.at

    def monotonic(self) -> float:
        return self.at / 1000

    def moment(self) -> Moment:
        return Moment(self.monotonic(), self.now() / 1000)

    def forward(self, duration: Millis) -> None:
        """Move by so many milliseconds."""
        self.at += duration

    def sleep(self, seconds: float) -> None:
        """Move as somebody's wait does, rather too far than not far enough."""
        self.at += ceil(seconds * 1000)


class Unquestioned:
    """An Agreement for a clock that needs no check."""

    known = True
    needs_timestamp = False

    def agrees(self) -> bool:
        return True

    def why(self) -> str:
        return ""

    def unstamped(self, refusal: str | None = None) -> None: ...

    def look(self) -> None: ...
