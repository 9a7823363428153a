"""The queue of one lane: its live deliveries first, then those of replays and resends."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from hookstream.core.lanes.fair_queue import Claim
from hookstream.core.lanes.halving import Halving
from hookstream.core.lanes.lane import Lane
from hookstream.core.lanes.permits import LanePermits, Permits
from hookstream.pipeline.ports import Logger
from hookstream.pipeline.work import Work


@dataclass(slots=True, eq=False)
class LaneQueue:
    """One lane and its queued work."""

    subscription_id: str
    lane: Lane
    busy_at: float
    """When it last had work, monotonic seconds."""
    policy_at: float
    """When it last read its policy, monotonic seconds."""
    permits: LanePermits = field(default_factory=LanePermits)
    claim: Claim = field(default_factory=Claim)
    waiting: deque[Work] = field(default_factory=deque)
    """Live deliveries, the oldest first."""
    background: deque[Work] = field(default_factory=deque)
    """Deliveries of replays and resends: none is attempted while a live one waits."""
    broken: bool = False
    """Whether its circuit breaker was open at the last check."""
    wakes_at: float = float("inf")
    """When its timer fires, event loop seconds; infinity: no timer."""
    wakes: asyncio.Task[None] | None = None
    """The timer that starts its next attempt."""
    halves_from: float = float("-inf")
    """From when refused batches are halved again, monotonic seconds."""

    @property
    def queued(self) -> int:
        """How many deliveries wait for an attempt."""
        return len(self.waiting) + len(self.background)

    def line(self, work: Work) -> deque[Work]:
        """Return the deque in which a delivery waits."""
        return self.background if work.delivery.is_background else self.waiting

    def take_permit(self, permits: Permits) -> bool | None:
        """Take a permit for the next work; return whether it is a reserved one, None: none is free.

        A retry may not use a reserved permit. If a retry is next and only reserved permits are free, a first
        attempt that waits after it overtakes it.
        """
        own, waiting = self.permits, self.waiting
        first_is_next = own.prompt and bool(waiting) and waiting[0].delivery.attempt == 0
        if not first_is_next:
            if permits.take(own, reserved=False):
                return False
            first = self.first_attempt() if permits.free > 0 else None
            if first is None:
                return None
            work = waiting[first]
            del waiting[first]
            waiting.appendleft(work)
        return True if permits.take(own, reserved=True) else None

    def complete_at(self) -> float:
        """Return when the batch of the next attempt is complete, monotonic seconds; minus infinity: now."""
        policy, line = self.lane.policy, self.waiting or self.background
        first = line[0]
        fills = len(line) < policy.batch_events
        if not fills or first.halving is not None or first.alone:
            return float("-inf")
        return first.queued_at + policy.batch_wait

    def shed(self, line: deque[Work], most: int, now: float) -> list[Work]:
        """Remove and return up to `most` work of a line that may be deferred, the youngest first."""
        return [line.pop() for _ in range(min(most, self._deferrable(line, now)))]

    def _deferrable(self, line: deque[Work], now: float) -> int:
        """Return how much of a line may be deferred. The unsettled members of a search are at its head."""
        if not self.lane.batched or not self.lane.keeps_a_batch(now):
            return len(line)
        return sum(work.halving is None and not work.alone for work in line)

    def take(self) -> tuple[Work, ...]:
        """Remove and return the work of the next attempt, the oldest first, all of one run. Some work must wait."""
        line = self.waiting or self.background
        first = line.popleft()
        if not self.lane.batched or first.alone:
            return (first,)
        if first.halving is not None:
            return (first, *_take_searched(line, first.halving))
        taken, most, job = [first], self.lane.policy.batch_events, first.delivery.job
        while (
            len(taken) < most
            and line
            and not line[0].alone
            and line[0].halving is None
            and line[0].delivery.job == job
        ):
            taken.append(line.popleft())
        return tuple(taken)

    def drop(self, gone: Callable[[Work], bool]) -> list[Work]:
        """Remove and return the waiting work for which `gone` returns True."""
        dropped: list[Work] = []
        for line in (self.waiting, self.background):
            if any(map(gone, line)):
                remaining: list[Work] = []
                for work in line:
                    (dropped if gone(work) else remaining).append(work)
                # The runners refer to the deque itself.
                line.clear()
                line.extend(remaining)
        return dropped

    def log_breaker(self, logger: Logger) -> None:
        """Log that the circuit breaker opened or closed since the last check."""
        broken = self.lane.broken
        if broken and not self.broken:
            logger.warning("breaker.opened", subscription_id=self.subscription_id)
        elif self.broken and not broken:
            logger.info("breaker.closed", subscription_id=self.subscription_id)
        self.broken = broken

    def first_attempt(self) -> int | None:
        """Return the index of the first work that may use a reserved permit: a prompt lane's first attempt."""
        if not self.permits.prompt:
            return None
        for place, work in enumerate(self.waiting):
            if work.delivery.attempt == 0:
                return place
        return None


def _take_searched(line: deque[Work], halving: Halving[Work]) -> list[Work]:
    """Remove and return the other members of a search: no other attempt may take them meanwhile."""
    taken = [work for work in line if work.halving is halving]
    remaining = [work for work in line if work.halving is not halving]
    line.clear()
    line.extend(remaining)
    return taken
