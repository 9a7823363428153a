"""A lane with the deliveries that wait in it."""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from hookstream.core.lanes.fair_queue import Claim
from hookstream.core.lanes.lane import Lane
from hookstream.core.lanes.permits import LanePermits
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

    def first_attempt(self) -> int | None:
        """Return the place of the first work that may use a reserved permit: a prompt lane's first attempt."""
        if not self.permits.prompt:
            return None
        for place, work in enumerate(self.waiting):
            if work.delivery.attempt == 0:
                return place
        return None
