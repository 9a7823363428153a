"""Lanes that wait for a slot of the shared cap get slots in proportion to their weights.

Start-time fair queueing: each slot moves a lane on by one part in `weight` of a round, and the one
that is least far is next. A lane that comes begins where the line stands, so that it neither gains
by having been idle nor waits for others to catch up with it. There are two lines, as there are two
kinds of slots: one that stands still while the other goes on has lost its turns, not saved them.
"""

from heapq import heappop, heappush
from itertools import count
from typing import Generic, TypeVar

T = TypeVar("T")


class Claim:
    """How far one lane is."""

    __slots__ = ("lines", "passed")

    def __init__(self) -> None:
        """Wait for nothing."""
        self.passed = float("-inf")
        """Rounds, on the clock of all turns: what it was given stands for it until here."""
        self.lines: set[object] = set()
        """In which it stands: in either, or in both, for one part of all slots."""


class _Line(Generic[T]):
    """Who waits for one kind of slot, in rounds of its own."""

    __slots__ = ("behind", "heap", "served")

    def __init__(self) -> None:
        self.heap: list[tuple[float, int, Claim, T]] = []
        self.served = 0.0
        """Where the line stands: where the one began that was served last, or that came first."""
        self.behind = 0.0
        """How many rounds passed while this line stood still."""


class FairQueue(Generic[T]):
    """Who waits for a slot that half of the cap allows, or for any, and who is next."""

    __slots__ = ("_anybody", "_common", "_round", "_tickets", "waiting")

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self._common: _Line[T] = _Line()
        self._anybody: _Line[T] = _Line()
        self._round = 0.0
        self._tickets = count()
        self.waiting = 0
        """How many stand in line."""

    def join(self, claim: Claim, who: T, *, kept: bool) -> None:
        """Let a lane stand in line; `kept`: any slot will do, also one that is kept."""
        line = self._anybody if kept else self._common
        if line in claim.lines:
            return
        claim.lines.add(line)
        self.waiting += 1
        behind = line.behind
        if line.heap:
            # It may stand still now: then it is further behind than when it was served last.
            behind = max(behind, self._round - line.heap[0][0])
        else:
            line.served = self._round - behind
        begins = max(claim.passed - behind, line.served)
        heappush(line.heap, (begins, next(self._tickets), claim, who))

    def any_for(self, *, common: bool) -> bool:
        """Return whether a lane waits for a slot that is free; `common`: it is of the common half."""
        return bool(self._anybody.heap or (common and self._common.heap))

    def next(self, *, common: bool) -> T | None:
        """Take the next lane out of its line; `common`: the slot may be of the common half."""
        line = self._anybody
        if common and self._common.heap:
            other = self._common
            if not line.heap or _head(other) < _head(line):
                line = other
        if not line.heap:
            return None
        begins, _, claim, who = heappop(line.heap)
        line.served = begins
        # A line that stood still is brought up to the others, as a whole.
        line.behind = max(line.behind, self._round - begins)
        self._round = max(self._round, begins + line.behind)
        claim.lines.remove(line)
        self.waiting -= 1
        return who

    def took(self, claim: Claim, weight: int) -> None:
        """Note that the lane that was taken out last has begun an attempt."""
        # What it was given already in the other line, where it stands in both, counts, too.
        claim.passed = max(claim.passed, self._round) + 1 / weight


def _head(line: _Line[T]) -> tuple[float, int]:
    begins, ticket, *_ = line.heap[0]
    return begins + line.behind, ticket
