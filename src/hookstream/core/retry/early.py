"""Which lanes to ask for room for early deliveries: all lanes periodically, those with room in between.

Thousands may wait in an outage, while one lane's backlog is taken a hundred times a second.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

EVERYBODY_EVERY = 0.25
"""Seconds between asking all lanes."""


@dataclass(slots=True, eq=False)
class Early:
    """The lanes that had room last time, over monotonic seconds. All lanes are asked first."""

    _everybody_at: float = float("-inf")
    _eager: Sequence[str] = ()

    def asked(self, now: float, everybody: Callable[[], Sequence[str]]) -> Sequence[str]:
        """Return the lanes to ask now, in this order. `everybody` returns all that wait."""
        if now < self._everybody_at:
            return self._eager
        self._everybody_at = now + EVERYBODY_EVERY
        first = set(self._eager)
        return [*self._eager, *(each for each in everybody() if each not in first)]

    def answered(self, found: Mapping[str, int], passed_over: Sequence[str]) -> None:
        """Record which lanes had room.

        Args:
            found: By lane, how many deliveries it got. A lane that got none has none waiting.
            passed_over: Lanes for which nothing was left: they are asked first next time.
        """
        self._eager = [*passed_over, *(each for each, many in found.items() if many)]
