"""Keeps the lanes that had work lately, which each tick visits, apart from the idle ones.

A worker may have ten thousand lanes, few of which have work at once: a visit to each of them, four times a
second, would stop the event loop for longer than a delivery takes.
"""

from hookstream.pipeline.lane_queue import LaneQueue

IDLE_AFTER = 1.0
"""Seconds without work after which a lane is idle."""

FORGOTTEN_AFTER = 600.0
"""Seconds without work after which a lane is forgotten, because its state of the endpoint is stale; twice the
longest open time of its breaker, if that is longer."""


class ActiveLanes:
    """The active lanes, over monotonic seconds. A new lane is active."""

    __slots__ = ("_active", "_idle")

    def __init__(self) -> None:
        """Start without a lane."""
        self._active: dict[LaneQueue, None] = {}
        self._idle: dict[LaneQueue, None] = {}
        """In the order in which they became idle."""

    def note(self, queue: LaneQueue) -> None:
        """Record that a lane is new, or has work again after it was idle."""
        self._idle.pop(queue, None)
        self._active[queue] = None

    def visited(self) -> list[LaneQueue]:
        """Return the active lanes. Lanes may become idle or active while they are visited."""
        return list(self._active)

    def without_work(self, queue: LaneQueue, now: float) -> None:
        """Record that an active lane has no work; after `IDLE_AFTER` without work it is idle."""
        if now - queue.busy_at > IDLE_AFTER:
            del self._active[queue]
            self._idle[queue] = None

    def forgotten(self, now: float) -> list[LaneQueue]:
        """Remove and return the lanes to forget."""
        gone: list[LaneQueue] = []
        # They became idle in this order, and all probe equally often.
        for queue in self._idle:
            if now - queue.busy_at <= max(FORGOTTEN_AFTER, 2 * queue.lane.policy.probe_every):
                break
            gone.append(queue)
        for queue in gone:
            del self._idle[queue]
        return gone
