"""One lane with the deliveries that wait in it, and what those are told that it does not take."""

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
    """One lane with the work that waits in it."""

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
        """Whether its breaker was open when it was last looked at."""
        self.wakes_at = float("inf")
        """When it will be looked at, as its pace lets the next attempt begin."""
        self.wakes: asyncio.Task[None] | None = None
        """What does that."""
        self.busy_at = 0.0
        """When it last had something to do, monotonic seconds."""

    def first_attempt(self) -> int | None:
        """Find the first waiting work that may have a kept slot: of a prompt lane, and no retry."""
        if not self.holder.prompt:
            return None
        for place, work in enumerate(self.waiting):
            if work.delivery.attempt == 0:
                return place
        return None


@dataclass(slots=True, frozen=True)
class Slot:
    """When a delivery comes back that its lane did not take, by the wall clock, and why."""

    due_at: Millis
    reason: DeferReason
