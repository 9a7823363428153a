"""Chooses the lanes that are asked for early deliveries: all four times a second, those that had room in between.

In an outage thousands of lanes may wait, while one lane's backlog is taken a hundred times a second.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

L = TypeVar("L", bound=Hashable)
"""The caller's key of a lane."""

EVERYBODY_EVERY = 0.25
"""Seconds between asking all lanes."""


@dataclass(slots=True, eq=False)
class Early(Generic[L]):
    """The lanes that had room last time, over monotonic seconds. All lanes are asked first."""

    _everybody_at: float = float("-inf")
    _eager: Sequence[L] = ()

    def asked(self, now: float, everybody: Callable[[], Sequence[L]]) -> Sequence[L]:
        """Return the lanes to ask now, in this order. `everybody` returns all that wait."""
        if now < self._everybody_at:
            return self._eager
        self._everybody_at = now + EVERYBODY_EVERY
        first = set(self._eager)
        return [*self._eager, *(each for each in everybody() if each not in first)]

    def answered(self, found: Mapping[L, int], passed_over: Sequence[L]) -> None:
        """Record which lanes had room.

        Args:
            found: By lane, how many deliveries it got. A lane that got none has none waiting.
            passed_over: Lanes for which nothing was left: they are asked first next time.
        """
        self._eager = [*passed_over, *(each for each, many in found.items() if many)]
