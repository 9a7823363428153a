"""Gives the permits of the shared cap to waiting lanes, in proportion to their weights.

Start-time fair queueing: each permit advances a lane by 1/`weight` of a round, and the lane that
has advanced least is next. A lane that joins starts at the queue's current round, so that idle time
gains nothing and no lane has to catch up. There are two queues, one for each kind of permit. A queue
that is blocked while the other one advances loses its rounds; it does not save them.
"""

from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Claim:
    """How far one lane has advanced."""

    passed: float = float("-inf")
    """The round up to which this lane has used its share."""
    lines: set[object] = field(default_factory=set)
    """The queues in which the lane waits: one or both, with one share of all permits."""


@dataclass(slots=True, eq=False)
class _Line(Generic[T]):
    """The lanes that wait for one kind of permit, with rounds of their own."""

    heap: list[tuple[float, int, Claim, T]] = field(default_factory=list)
    served: float = 0.0
    """The queue's current round: the start of the lane that was served last or came first."""
    behind: float = 0.0
    """How many rounds passed while this queue was blocked."""


class FairQueue(Generic[T]):
    """The lanes that wait for a permit of the common half or for any permit, and which is next."""

    __slots__ = ("_anybody", "_common", "_round", "_tickets", "waiting")

    def __init__(self) -> None:
        """Start empty."""
        self._common: _Line[T] = _Line()
        self._anybody: _Line[T] = _Line()
        self._round = 0.0
        self._tickets = count()
        self.waiting = 0
        """How many lanes wait."""

    def join(self, claim: Claim, who: T, *, reserved: bool) -> None:
        """Queue a lane. `reserved`: it may also use a permit of the reserved half."""
        line = self._anybody if reserved else self._common
        if line in claim.lines:
            return
        claim.lines.add(line)
        self.waiting += 1
        behind = line.behind
        if line.heap:
            # The queue may be blocked now: then it is further behind than when it was last served.
            behind = max(behind, self._round - line.heap[0][0])
        else:
            line.served = self._round - behind
        begins = max(claim.passed - behind, line.served)
        heappush(line.heap, (begins, next(self._tickets), claim, who))

    def any_for(self, *, common: bool) -> bool:
        """Return whether a lane waits for a free permit. `common`: one of the common half is free."""
        return bool(self._anybody.heap or (common and self._common.heap))

    def next(self, *, common: bool) -> T | None:
        """Dequeue the next lane. `common`: the permit may be of the common half."""
        line = self._anybody
        if common and self._common.heap:
            other = self._common
            if not line.heap or _head(other) < _head(line):
                line = other
        if not line.heap:
            return None
        begins, _, claim, who = heappop(line.heap)
        line.served = begins
        # A queue that was blocked is moved up to the current round as a whole.
        line.behind = max(line.behind, self._round - begins)
        self._round = max(self._round, begins + line.behind)
        claim.lines.remove(line)
        self.waiting -= 1
        return who

    def took(self, claim: Claim, weight: int) -> None:
        """Record that the lane dequeued last has begun an attempt."""
        # A lane in both queues has one share: what it got through the other queue counts too.
        claim.passed = max(claim.passed, self._round) + 1 / weight


def _head(line: _Line[T]) -> tuple[float, int]:
    begins, ticket, *_ = line.heap[0]
    return begins + line.behind, ticket
