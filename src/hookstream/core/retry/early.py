"""Whom to ask for deliveries before their slots: all who wait now and then, those with room in between.

Thousands may wait in an outage, while one backlog is taken a hundred times a second.
"""

from collections.abc import Callable, Mapping, Sequence

EVERYBODY_EVERY = 0.25
"""Seconds between asking all."""


class Early:
    """Who was found to have room when asked last, over monotonic seconds."""

    __slots__ = ("_eager", "_everybody_at")

    def __init__(self) -> None:
        """Ask everybody first."""
        self._everybody_at = float("-inf")
        self._eager: Sequence[str] = ()

    def asked(self, now: float, everybody: Callable[[], Sequence[str]]) -> Sequence[str]:
        """Return whom to ask now, in this order; `everybody` names all who wait."""
        if now < self._everybody_at:
            return self._eager
        self._everybody_at = now + EVERYBODY_EVERY
        first = set(self._eager)
        return [*self._eager, *(each for each in everybody() if each not in first)]

    def answered(self, found: Mapping[str, int], passed_over: Sequence[str]) -> None:
        """Note who had room.

        Args:
            found: For each, how many deliveries it got. Who got none has none that wait.
            passed_over: For whom nothing was left: they come before the others now.
        """
        self._eager = [*passed_over, *(each for each, many in found.items() if many)]
