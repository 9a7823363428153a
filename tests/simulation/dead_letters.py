"""Which dead letters are open, by a model that does not use the jobs table."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from tests.simulation.expectation import Pair
from tests.simulation.given_up import Place


@dataclass(slots=True)
class DeadLetters:
    """The dead letters of a story, and which of them were redriven."""

    redriven: set[Pair] = field(default_factory=set)
    _open: dict[Place, Pair] = field(default_factory=dict)
    _of: Counter[Pair] = field(default_factory=Counter)
    _began: defaultdict[Pair, set[int]] = field(default_factory=lambda: defaultdict(lambda: {0}))
    """How many attempts of a delivery were made when a schedule started: none, or as many as at its redrive."""

    def write(self, place: Place, pair: Pair) -> None:
        """Record a new dead letter."""
        self._open[place] = pair
        self._of[pair] += 1

    def redrive(self, place: Place, attempts: int) -> bool:
        """Record that a dead letter was redriven; False: it was before, or does not exist."""
        pair = self._open.pop(place, None)
        if pair is None:
            return False
        self._of[pair] -= 1
        self._began[pair].add(attempts)
        self.redriven.add(pair)
        return True

    def purge(self, place: Place) -> None:
        """Record that a dead letter was purged: its delivery stays dead-lettered, and nothing redrives it."""
        del self._open[place]

    def is_open(self, place: Place) -> bool:
        return place in self._open

    def contain(self, pair: Pair) -> bool:
        """Return whether a dead letter of a delivery is open."""
        return self._of[pair] > 0

    def exhausts(self, pair: Pair, attempts: int, most: int, searches: int = 0) -> bool:
        """Return whether a delivery is at the end of its schedule.

        Args:
            pair: The delivery.
            attempts: How many were made.
            most: How many a schedule has.
            searches: How many more searches in batches may have made.
        """
        began = self._began[pair]
        return any(most <= attempts - before <= most + searches for before in began)
