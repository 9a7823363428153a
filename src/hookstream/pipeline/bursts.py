"""Divides work into bursts of a few milliseconds, and leaves the processor to others for as long after each.

An executor may share its processor with a broker, a worker or another process that it waits for. A lower
priority does not protect them: Linux weighs processes of different sessions, services and containers by their
groups, and a process of a group that was idle may run for tens of milliseconds before they do.
"""

import asyncio
from typing import Final

from hookstream.pipeline.ports import Clock

AT_ONCE: Final = 50
"""Records that take about one burst to read and judge."""
_BURST: Final = 0.004
"""Seconds."""
_LONGEST: Final = 0.1
"""Seconds: a longer burst was not only work of the processor."""


class Bursts:
    """The bursts of one piece of work; the first begins now."""

    def __init__(self, clock: Clock) -> None:
        """Measure by `clock.monotonic`."""
        self._clock = clock
        self._began = clock.monotonic()

    def begin(self) -> None:
        """Begin a burst: earlier waits do not count."""
        self._began = self._clock.monotonic()

    async def stand_back(self) -> None:
        """If the burst is over, wait for as long as it took, and begin the next one."""
        took = self._clock.monotonic() - self._began
        if took >= _BURST:
            await asyncio.sleep(min(took, _LONGEST))
            self.begin()
