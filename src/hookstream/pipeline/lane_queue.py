"""A lane's queue, and the due time that a lane gives to deliveries it does not take."""

import asyncio
from collections import deque
from dataclasses import dataclass

from hookstream.core.lanes.fair_queue import Claim
from hookstream.core.lanes.lane import Lane
from hookstream.core.lanes.permits import Holder
from hookstream.core.lanes.policy import LanePolicy
from hookstream.core.model.delivery import DeferReason
from hookstream.core.model.instant import Millis
from hookstream.pipeline.work import Work


class LaneQueue:
    """One lane and its queued work."""

    __slots__ = (
        "broken",
        "busy_at",
        "claim",
        "holder",
        "lane",
        "subscription_id",
        "waiting",
        "wakes",
        "wakes_at",
    )

    def __init__(self, subscription_id: str, policy: LanePolicy) -> None:
        self.subscription_id = subscription_id
        self.lane = Lane(policy)
        self.holder = Holder()
        self.claim = Claim()
        self.waiting: deque[Work] = deque()
        self.broken = False
        """Whether its circuit breaker was open at the last check."""
        self.wakes_at = float("inf")
        """When its timer fires, event loop seconds; infinity: no timer."""
        self.wakes: asyncio.Task[None] | None = None
        """The timer that starts its next attempt."""
        self.busy_at = 0.0
        """When it last had work, monotonic seconds."""

    def first_attempt(self) -> int | None:
        """Return the place of the first work that may use a reserved permit: a prompt lane's first attempt."""
        if not self.holder.prompt:
            return None
        for place, work in enumerate(self.waiting):
            if work.delivery.attempt == 0:
                return place
        return None


@dataclass(slots=True, frozen=True)
class Slot:
    """The due time that a lane reserved for a delivery it did not take, and why it did not."""

    due_at: Millis
    reason: DeferReason
