"""A lane with the deliveries that wait in it."""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from hookstream.core.lanes.fair_queue import Claim
from hookstream.core.lanes.halving import Halving
from hookstream.core.lanes.lane import Lane
from hookstream.core.lanes.permits import LanePermits, Permits
from hookstream.pipeline.work import Work


@dataclass(slots=True, eq=False)
class LaneQueue:
    """One lane and its queued work."""

    subscription_id: str
    lane: Lane
    busy_at: float
    """When it last had work, monotonic seconds."""
    permits: LanePermits = field(default_factory=LanePermits)
    claim: Claim = field(default_factory=Claim)
    waiting: deque[Work] = field(default_factory=deque)
    broken: bool = False
    """Whether its circuit breaker was open at the last check."""
    wakes_at: float = float("inf")
    """When its timer fires, event loop seconds; infinity: no timer."""
    wakes: asyncio.Task[None] | None = None
    """The timer that starts its next attempt."""
    halves_from: float = float("-inf")
    """From when refused batches are halved again, monotonic seconds."""

    def take_permit(self, permits: Permits) -> bool | None:
        """Take a permit for the next work; return whether it is a reserved one, None: none is free.

        Where a retry is next and may not use a reserved permit, a first attempt behind it that may
        overtakes it.
        """
        own, waiting = self.permits, self.waiting
        first_is_next = own.prompt and waiting[0].delivery.attempt == 0
        if not first_is_next:
            if permits.take(own, kept=False):
                return False
            first = self.first_attempt() if permits.free > 0 else None
            if first is None:
                return None
            work = waiting[first]
            del waiting[first]
            waiting.appendleft(work)
        return True if permits.take(own, kept=True) else None

    def complete_at(self) -> float:
        """Return when the batch of the next attempt is complete, monotonic seconds; minus infinity: it is."""
        policy, first = self.lane.policy, self.waiting[0]
        fills = len(self.waiting) < policy.batch_events
        if not fills or first.halving is not None or first.alone:
            return float("-inf")
        return first.queued_at + policy.batch_wait

    def deferrable(self, now: float) -> int:
        """Return how much of the waiting work may be deferred. What a search has left is at the head."""
        if not self.lane.batched or not self.lane.keeps_a_batch(now):
            return len(self.waiting)
        return sum(work.halving is None and not work.alone for work in self.waiting)

    def take(self) -> tuple[Work, ...]:
        """Remove and return the work of the next attempt, the oldest first; at least one piece waits."""
        waiting = self.waiting
        first = waiting.popleft()
        if not self.lane.batched or first.alone:
            return (first,)
        if first.halving is not None:
            return (first, *self._take_searched(first.halving))
        taken, most = [first], self.lane.policy.batch_events
        while (
            len(taken) < most and waiting and not waiting[0].alone and waiting[0].halving is None
        ):
            taken.append(waiting.popleft())
        return tuple(taken)

    def _take_searched(self, halving: Halving[Work]) -> list[Work]:
        """Remove and return the rest of a search: nothing else may attempt it meanwhile."""
        taken = [work for work in self.waiting if work.halving is halving]
        kept = [work for work in self.waiting if work.halving is not halving]
        self.waiting.clear()
        self.waiting.extend(kept)
        return taken

    def first_attempt(self) -> int | None:
        """Return the place of the first work that may use a reserved permit: a prompt lane's first attempt."""
        if not self.permits.prompt:
            return None
        for place, work in enumerate(self.waiting):
            if work.delivery.attempt == 0:
                return place
        return None
