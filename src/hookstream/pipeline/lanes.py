"""Lanes hold the deliveries of each subscription and run their attempts, so that none waits for another."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import count

from hookstream.core.delivery.lane import Lane, LanePolicy
from hookstream.core.model.record import TopicPartition
from hookstream.errors import InvariantBroken
from hookstream.pipeline.ports import Clock
from hookstream.pipeline.work import Work

_FORGOTTEN_AFTER = 60.0
"""Seconds without work after which a lane is forgotten: what it learnt of its endpoint is stale."""

_ALONE_AFTER = 1.0
"""Seconds without work in any other lane after which a lane is alone."""


class _Queue:
    """One lane with the work that waits in it."""

    __slots__ = ("busy_at", "lane", "starved", "subscription_id", "waiting")

    def __init__(self, subscription_id: str, policy: LanePolicy) -> None:
        self.subscription_id = subscription_id
        self.lane = Lane(policy)
        self.waiting: deque[Work] = deque()
        self.starved = False
        self.busy_at = 0.0
        """When it last had something to do, monotonic seconds."""


class Lanes:
    """All lanes of a worker under one cap of attempts in flight."""

    def __init__(
        self,
        clock: Clock,
        *,
        max_in_flight: int,
        policy: Callable[[str], LanePolicy],
        attempt: Callable[[Work], Awaitable[bool | None]],
        overflow: Callable[[Work], None],
    ) -> None:
        """Run attempts, and hand what does not fit to `overflow`.

        `attempt` tells whether it delivered; None: it ended the work without an attempt.
        """
        self._clock = clock
        self._free = max_in_flight
        self._policy = policy
        self._attempt = attempt
        self._overflow = overflow
        self._queues: dict[str, _Queue] = {}
        self._starved: deque[_Queue] = deque()
        self._tickets = count()
        self._recent: tuple[str, float] = ("", float("-inf"))
        self._other: tuple[str, float] = ("", float("-inf"))
        self._tasks: asyncio.TaskGroup | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self.in_flight = 0
        self.waiting = 0
        """Deliveries queued over all lanes."""

    def open(self, tasks: asyncio.TaskGroup) -> None:
        """Run attempts as children of `tasks` from now on."""
        self._tasks = tasks

    def offer(self, work: Work) -> None:
        """Queue work in its lane, or hand it to `overflow` where the lane is full."""
        subscription_id = work.delivery.subscription_id
        queue = self._queues.get(subscription_id)
        if queue is None:
            queue = _Queue(subscription_id, self._policy(subscription_id))
            self._queues[subscription_id] = queue
        now = queue.busy_at = self._clock.monotonic()
        alone = self._alone(subscription_id, now)
        self._note(subscription_id, now)
        if queue.lane.full(len(queue.waiting), now, alone=alone):
            self._overflow(work)
            return
        queue.waiting.append(work)
        self.waiting += 1
        self._idle.clear()
        self._start(queue)

    def _start(self, queue: _Queue) -> None:
        """Give the lane a runner where lane and worker have a slot free."""
        if not queue.waiting or not queue.lane.may_start():
            return
        if self._free <= 0:
            if not queue.starved:
                queue.starved = True
                self._starved.append(queue)
            return
        if self._tasks is None:
            raise InvariantBroken("lanes were offered work before they were opened")
        self._free -= 1
        ticket = next(self._tickets)
        queue.lane.start(ticket, self._clock.monotonic())
        self.in_flight += 1
        self.waiting -= 1
        self._tasks.create_task(self._run(queue, ticket, queue.waiting.popleft()))

    async def _run(self, queue: _Queue, ticket: int, work: Work) -> None:
        """Attempt one piece of work after another while the lane has some and keeps its slot."""
        lane = queue.lane
        clock = self._clock
        try:
            while True:
                delivered = await self._attempt(work)
                now = clock.monotonic()
                if delivered is None:
                    lane.pass_over(ticket)
                else:
                    lane.finish(ticket, now, delivered=delivered)
                self._note(queue.subscription_id, now)
                if not queue.waiting or self._starved or not lane.may_start():
                    break
                ticket = next(self._tickets)
                lane.start(ticket, now)
                work = queue.waiting.popleft()
                self.waiting -= 1
        except BaseException:
            # Cancelled, or a defect: the worker ends, so no other attempt may begin.
            self.in_flight -= 1
            raise
        self.in_flight -= 1
        self._free += 1
        self._hand_over(queue)

    def _hand_over(self, queue: _Queue) -> None:
        """Pass a freed slot to the lane that has waited longest for one, else to this lane."""
        while self._starved and self._free > 0:
            waiting = self._starved.popleft()
            waiting.starved = False
            self._start(waiting)
        self._start(queue)
        self._note_idle()

    def _note_idle(self) -> None:
        if self.in_flight == 0 and self.waiting == 0:
            self._idle.set()

    def tick(self) -> None:
        """Defer what a lane that slowed down cannot serve within a second; forget idle lanes."""
        now = self._clock.monotonic()
        for subscription_id, queue in list(self._queues.items()):
            if queue.waiting or queue.lane.in_flight:
                queue.busy_at = now
                self._adjust(queue, now)
            elif now - queue.busy_at > _FORGOTTEN_AFTER:
                del self._queues[subscription_id]
        self._note_idle()

    def _adjust(self, queue: _Queue, now: float) -> None:
        """Bring a busy lane's limits up to date, and its queue down to what it can serve."""
        policy = self._policy(queue.subscription_id)
        if policy != queue.lane.policy:
            queue.lane.policy = policy
        alone = self._alone(queue.subscription_id, now)
        for _ in range(queue.lane.excess(len(queue.waiting), now, alone=alone)):
            self.waiting -= 1
            self._overflow(queue.waiting.pop())
        self._start(queue)

    def drop(self, gone: frozenset[TopicPartition]) -> list[Work]:
        """Take out, and return, the waiting work of partitions that are not ours any more."""
        dropped: list[Work] = []
        for queue in self._queues.values():
            if any(work.receipt.where in gone for work in queue.waiting):
                kept: deque[Work] = deque()
                for work in queue.waiting:
                    (dropped if work.receipt.where in gone else kept).append(work)
                queue.waiting = kept
        self.waiting -= len(dropped)
        self._note_idle()
        return dropped

    def empty(self) -> list[Work]:
        """Take out, and return, all waiting work: the worker stops."""
        dropped = [work for queue in self._queues.values() for work in queue.waiting]
        for queue in self._queues.values():
            queue.waiting.clear()
        self.waiting = 0
        self._note_idle()
        return dropped

    async def idle(self) -> None:
        """Wait until nothing waits and nothing is in flight."""
        await self._idle.wait()

    def _alone(self, subscription_id: str, now: float) -> bool:
        last = self._other if self._recent[0] == subscription_id else self._recent
        return now - last[1] > _ALONE_AFTER

    def _note(self, subscription_id: str, now: float) -> None:
        if self._recent[0] != subscription_id:
            self._other = self._recent
        self._recent = (subscription_id, now)
