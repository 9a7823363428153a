"""Measures for how long the event loop of a process has not run."""

import asyncio
from collections.abc import Callable
from typing import Final

_EVERY: Final = 1.0
"""Seconds between two beats."""
DEAD_AFTER: Final = 30.0
"""Seconds without an event loop iteration after which a process is unhealthy."""


class Heartbeat:
    """The time of the last event loop iteration, counted from now.

    Args:
        monotonic: Returns monotonic seconds.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._at = monotonic()

    async def run(self, at_each: Callable[[], None] | None = None) -> None:
        """Beat forever, and call `at_each` at each beat."""
        while True:
            self._at = self._monotonic()
            if at_each is not None:
                at_each()
            await asyncio.sleep(_EVERY)

    @property
    def silence(self) -> float:
        """Seconds since the last beat."""
        return self._monotonic() - self._at
