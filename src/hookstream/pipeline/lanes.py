"""Queues the deliveries of each subscription in its own lane, and runs their attempts: no lane waits for another."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import count

from hookstream.core.lanes.fair_queue import FairQueue
from hookstream.core.lanes.lane import Lane
from hookstream.core.lanes.lane_status import LanesStatus, LaneStatus
from hookstream.core.lanes.neighbours import Neighbours
from hookstream.core.lanes.permits import Permits
from hookstream.core.lanes.policy import LanePolicy
from hookstream.core.model.delivery import DeferReason, Delivery, Trigger
from hookstream.core.model.instant import Millis
from hookstream.core.model.outcome import DeferUntil, Delivered, Outcome, Withheld
from hookstream.core.model.record import TopicPartition
from hookstream.errors import InvariantBroken
from hookstream.pipeline.active_lanes import IDLE_AFTER, ActiveLanes
from hookstream.pipeline.lane_clock import LaneClock
from hookstream.pipeline.lane_overview import lane_overview
from hookstream.pipeline.lane_queue import LaneQueue
from hookstream.pipeline.lane_runs import AttemptBatch, BeginAttempt, LaneRun, LaneRuns
from hookstream.pipeline.open_attempt import AttemptResult
from hookstream.pipeline.ports import Clock, Logger, Permitted
from hookstream.pipeline.trial_attempts import TrialAttempts
from hookstream.pipeline.work import Work

_POLICY_EVERY = 1.0
"""Seconds after which a lane that has work reads its policy again: limits change seldom."""

_MOST_PUT_OFF = 250
"""Queued deliveries of one lane that a tick defers at most: more would delay the other lanes."""

_SHORTEST_SLEEP = 0.001
"""Seconds: a timer that fires slightly early must not spin."""


class Lanes:
    """All lanes of a worker, under one limit of attempts in flight."""

    def __init__(
        self,
        clock: Clock,
        logger: Logger,
        *,
        max_in_flight: int,
        policy: Callable[[str], LanePolicy],
        begin: BeginAttempt,
        attempt: Callable[[Work], Awaitable[AttemptResult]],
        attempt_together: AttemptBatch,
        overflow: Callable[[Work, DeferUntil], None],
        abandon: Callable[[Work], None],
        may_act: Permitted,
    ) -> None:
        """Start without a lane; lanes are made when they get work.

        Args:
            clock: The present.
            logger: Logs breakers that open or close.
            max_in_flight: The most attempts in flight over all lanes.
            policy: Returns the limits of a subscription's lane.
            begin: Begins the attempt of one delivery. Withheld: no request was made, and the work returns to
                the head of its lane.
            attempt: Makes the attempt of a test.
            attempt_together: Makes one request with several deliveries; returns those that go back to the
                head of the lane.
            overflow: Defers work to its slot.
            abandon: Drops work whose partition is being revoked.
            may_act: Returns whether attempts may begin. While it returns False, nothing is deferred either,
                since the wait is not the endpoint's fault.
        """
        self._abandon = abandon
        self._may_act = may_act
        self._time = LaneClock(
            clock, may_act, lambda: (queue.lane for queue in self._queues.values())
        )
        self._closed = False
        self._clock = clock
        self._logger = logger
        self._permits = Permits(max_in_flight)
        self._policy = policy
        self.runs = LaneRuns(begin, attempt_together, self._over)
        self._overflow = overflow
        self._queues: dict[str, LaneQueue] = {}
        self._active = ActiveLanes()
        self._fair_queue: FairQueue[LaneQueue] = FairQueue()
        """Lanes that wait for a permit."""
        self._tickets = count()
        self.loop_iteration_seconds = 0.0
        """The duration of one iteration of the event loop, in seconds, at the last tick with an active lane."""
        self._neighbours = Neighbours()
        self._idle = asyncio.Event()
        self._idle.set()
        self.tests = TrialAttempts(attempt, overflow, abandon, may_act, self._note_idle)
        """Separate from the lanes, and counted in none of these numbers."""
        self.in_flight = 0
        self.waiting = 0
        """Deliveries queued over all lanes."""
        self.new = 0
        """Deliveries that came from event topics since the start."""

    def open(self, tasks: asyncio.TaskGroup) -> None:
        """Run attempts as children of `tasks` from now on."""
        self.runs.open(tasks)
        self.tests.open(tasks)

    # Work in.

    def offer(self, work: Work) -> None:
        """Queue work in its lane, or pass it to `overflow` if the lane is full.

        While the worker drains, the work is dropped. It may be offered then by a step that stopped its
        partition and succeeds late.
        """
        if self._closed:
            self._abandon(work)
            return
        if work.delivery.trigger is Trigger.TEST:
            self._idle.clear()
            self.tests.offer(work)
            return
        subscription_id = work.delivery.subscription_id
        queue = self._queues.get(subscription_id) or self._queue(subscription_id)
        now = self._time.present()
        self._busy(queue, now)
        alone = self._alone(subscription_id, now)
        self._neighbours.note(subscription_id, now)
        of_job = work.delivery.job is not None
        again = of_job or work.delivery.due_at is not None
        self.new += not again
        # Background deliveries count only for background deliveries: they make the lane full for no others.
        background = of_job and work.delivery.is_background
        queued = queue.queued if background else len(queue.waiting)
        if queue.lane.full(queued, now, alone=alone, again=again):
            self._overflow(work, self._refused(queue, work.delivery, now))
            return
        work.queued_at = now
        (queue.background if background else queue.waiting).append(work)
        self.waiting += 1
        self._idle.clear()
        try:
            self._start(queue, now)
        except Exception as error:
            # The work is queued, so the caller must not offer it again.
            raise InvariantBroken(f"a lane cannot be accounted for: {error!r}") from error

    def deferral(self, delivery: Delivery) -> DeferUntil | None:
        """Return the slot of a delivery from a tier; None: its lane takes it now."""
        queue = self._queues.get(delivery.subscription_id)
        if queue is None or delivery.trigger is Trigger.TEST:
            return None
        now = self._time.present()
        self._busy(queue, now)
        alone = self._alone(delivery.subscription_id, now)
        queued = queue.queued if delivery.is_background else len(queue.waiting)
        if not queue.lane.full(queued, now, alone=alone, again=True):
            return None
        return self._refused(queue, delivery, now)

    def early_room(self, subscription_id: str, *, background: bool = False) -> int:
        """Return how many deferred deliveries a lane would take before their slots.

        `background`: of the background deliveries.
        """
        queue = self._queues.get(subscription_id) or self._queue(subscription_id)
        now = self._clock.monotonic()
        if now - queue.policy_at >= _POLICY_EVERY:
            # The limit may have been raised since the slots were reserved, and nothing else would trigger a
            # refresh before the first of them.
            self._read_policy(queue, now)
        queued = queue.queued if background else len(queue.waiting)
        return queue.lane.early_room(queued, now)

    def rest(self, subscription_id: str, wait: Millis) -> None:
        """Begin no attempt of a lane for `wait` milliseconds; its queue is deferred at the next tick."""
        queue = self._queues.get(subscription_id)
        if queue is not None:
            queue.lane.rest(wait / 1000, self._time.present())

    def seen(self, delivery: Delivery, slot: Millis) -> None:
        """Take into account a slot read from a tier record, so that it is not assigned twice."""
        subscription_id = delivery.subscription_id
        queue = self._queues.get(subscription_id) or self._queue(subscription_id)
        at = self._clock.monotonic() + (slot - self._clock.now()) / 1000
        queue.lane.seen(at, background=delivery.is_background)

    def _alone(self, subscription_id: str, now: float) -> bool:
        """Return whether a healthy lane slows intake instead of deferring its backlog to tiers.

        It does if no other lane has work, or if all lanes have a backlog after a pause in sending.
        """
        return self._time.catching_up(now) or self._neighbours.alone(subscription_id, now)

    def _queue(self, subscription_id: str) -> LaneQueue:
        lane = Lane(self._policy(subscription_id))
        now = self._clock.monotonic()
        queue = LaneQueue(subscription_id, lane, busy_at=now, policy_at=now)
        self._queues[subscription_id] = queue
        self._active.note(queue)
        return queue

    def _busy(self, queue: LaneQueue, now: float) -> None:
        """Record that a lane has work; an idle one reads its policy, because no tick did so meanwhile."""
        if now - queue.busy_at > IDLE_AFTER:
            self._active.note(queue)
            self._read_policy(queue, now)
        queue.busy_at = now

    def _read_policy(self, queue: LaneQueue, now: float) -> None:
        queue.policy_at = now
        queue.lane.policy = self._policy(queue.subscription_id)

    def _refused(self, queue: LaneQueue, delivery: Delivery, now: float) -> DeferUntil:
        """Return the slot of a delivery for which its lane has no room.

        If it is not a background delivery, the lane's background deliveries are deferred too: none of them
        would be attempted meanwhile.
        """
        slot = self._slot(queue, delivery, now)
        if queue.background and not delivery.is_background:
            self._put_off(queue, queue.shed(queue.background, _MOST_PUT_OFF, now), now)
        return slot

    def _put_off(self, queue: LaneQueue, works: Sequence[Work], now: float) -> None:
        """Defer work that was taken out of its lane."""
        self.waiting -= len(works)
        for work in works:
            self._overflow(work, self._slot(queue, work.delivery, now))

    def _slot(self, queue: LaneQueue, delivery: Delivery, now: float) -> DeferUntil:
        wall, since = self._clock.now(), delivery.deferred_since
        waited = 0.0
        if delivery.deferred_reason is DeferReason.BREAKER_OPEN and since is not None:
            waited = max(0, wall - since) / 1000
        deferral = queue.lane.defer(
            now, missed_slot=delivery.has_slot, waited=waited, background=delivery.is_background
        )
        return DeferUntil(wall + int((deferral.slot - now) * 1000) + 1, deferral.reason)

    # Attempts.

    def _start(self, queue: LaneQueue, now: float) -> None:
        """Begin attempts while the lane may and the worker has permits."""
        while self._ready(queue, now):
            reserved = queue.take_permit(self._permits)
            if reserved is None:
                self._join(queue)
                return
            self._begin(queue, now, reserved)

    def _start_one(self, queue: LaneQueue, now: float) -> None:
        """Begin one attempt of the lane at the head of the fair queue, and queue the lane again."""
        if self._ready(queue, now):
            reserved = queue.take_permit(self._permits)
            if reserved is not None:
                self._fair_queue.took(queue.claim, queue.lane.policy.weight)
                self._begin(queue, now, reserved)
        self._stand_in_line(queue, now)

    def _stand_in_line(self, queue: LaneQueue, now: float) -> None:
        if self._ready(queue, now):
            self._join(queue)

    def _join(self, queue: LaneQueue) -> None:
        """Queue a lane for each kind of permit that some of its work may use."""
        first = queue.first_attempt()
        if first is not None:
            self._fair_queue.join(queue.claim, queue, reserved=True)
        if first != 0:
            self._fair_queue.join(queue.claim, queue, reserved=False)

    def _ready(self, queue: LaneQueue, now: float) -> bool:
        """Return whether a lane needs only a permit; otherwise wake it when its rate allows an attempt."""
        if not (queue.waiting or queue.background):
            return False
        if queue.lane.may_start(now):
            if queue.lane.batched and queue.complete_at() > now:
                self._sleep_until(queue.complete_at(), queue, now)
                return False
            # While the gate is closed, the next tick starts every lane that waits.
            return self._may_act()
        at = queue.lane.start_at(now)
        if at is not None:
            self._sleep_until(at, queue, now)
        return False

    def _begin(self, queue: LaneQueue, now: float, reserved: bool) -> None:  # noqa: FBT001
        """Begin the lane's next attempt with the permit taken for it."""
        self.in_flight += 1
        self.runs.begin(self._next(queue, now, reserved))

    def _next(self, queue: LaneQueue, now: float, reserved: bool) -> LaneRun:  # noqa: FBT001
        ticket = next(self._tickets)
        queue.lane.start(ticket, now)
        works = queue.take()
        self.waiting -= len(works)
        return LaneRun(self.runs, queue, ticket, works, reserved)

    def _over(
        self, run: LaneRun, came: AttemptResult, back: Sequence[Work], answered_at: float | None
    ) -> None:
        """Take the result of an attempt; begin another one if the lane has work and keeps its permit."""
        queue, now = run.queue, self._time.present()
        another: LaneRun | None = None
        if isinstance(came, Withheld):
            # No request was made.
            queue.lane.pass_over(run.ticket)
            self._permits.give(queue.permits, reserved=run.reserved)
            self._put_back(queue, back)
        else:
            self._ended(queue, run.ticket, came, answered_at or now, run.reserved)
            if back:
                self._put_back(queue, back)
            another = self._another(queue, now)
        if another is not None:
            self.runs.begin(another)
            return
        self.in_flight -= 1
        self._hand_over(queue, now)

    def _another(self, queue: LaneQueue, now: float) -> LaneRun | None:
        """Return the lane's next attempt after one that ended; None: none may begin."""
        more = queue.waiting or queue.background
        if not more or not queue.lane.may_start(now) or self._yields():
            return None
        if queue.lane.batched and queue.complete_at() > now:
            return None
        reserved = queue.take_permit(self._permits)
        if reserved is None:
            return None
        run = self._next(queue, now, reserved)
        if queue.waiting or queue.background:
            # The answer may have raised the limit.
            self._start(queue, now)
        return run

    def _ended(
        self,
        queue: LaneQueue,
        ticket: int,
        outcome: Outcome | None,
        now: float,
        reserved: bool,  # noqa: FBT001
    ) -> None:
        """Report an outcome to the lane, and release its permit."""
        lane, own = queue.lane, queue.permits
        if outcome is None:
            lane.pass_over(ticket)
        else:
            lane.finish(ticket, now, outcome)
            if queue.broken or not isinstance(outcome, Delivered):
                queue.log_breaker(self._logger)
        if not own.prompt and lane.prompt(now):
            self._permits.proved(own)
        self._neighbours.note(queue.subscription_id, now)
        self._permits.give(own, reserved=reserved)

    def put_back(self, queue: LaneQueue, works: Sequence[Work]) -> None:
        """Put work that a request left out at the head of its lane, which may begin an attempt at once."""
        if works:
            self._put_back(queue, works)
            self._start(queue, self._time.present())

    def _put_back(self, queue: LaneQueue, works: Sequence[Work]) -> None:
        """Put unsettled work at the head of its lane, unless its partition is being revoked."""
        for work in reversed(works):
            if self._closed or not work.receipt.may_start:
                self._abandon(work)
            else:
                queue.line(work).appendleft(work)
                self.waiting += 1

    def _yields(self) -> bool:
        """Return whether no attempt may begin now, or another lane has a claim to the permit just released."""
        fair_queue, permits = self._fair_queue, self._permits
        others = fair_queue.waiting > 0 and fair_queue.any_for(
            common=permits.may_take(reserved=False)
        )
        return others or not self._may_act()

    def _hand_over(self, queue: LaneQueue, now: float) -> None:
        """Give free permits to the queued lanes, including this one, then to this lane."""
        fair_queue, permits = self._fair_queue, self._permits
        if fair_queue.waiting:
            self._stand_in_line(queue, now)
            while permits.free > 0:
                waiting = fair_queue.next(common=permits.may_take(reserved=False))
                if waiting is None:
                    break
                self._start_one(waiting, now)
        self._start(queue, now)
        self._note_idle()

    def _sleep_until(self, at: float, queue: LaneQueue, now: float) -> None:
        """Wake the lane when its rate limiter, circuit breaker or batch allows the next attempt."""
        if at >= queue.wakes_at:
            return
        if queue.wakes is not None:
            # The lane may begin sooner than when its timer was set.
            queue.wakes.cancel()
        queue.wakes_at = at
        queue.wakes = self.runs.start(self._wake(queue, max(at - now, _SHORTEST_SLEEP)))

    async def _wake(self, queue: LaneQueue, after: float) -> None:
        await asyncio.sleep(after)
        queue.wakes, queue.wakes_at = None, float("inf")
        self._start(queue, self._clock.monotonic())

    def _note_idle(self) -> None:
        if self.in_flight == 0 and self.waiting == 0 and self.tests.idle:
            self._idle.set()

    # Housekeeping.

    def tick(self) -> None:
        """Defer the work that a slower lane cannot serve within a second; forget idle lanes."""
        now = self._time.ticked()
        if self._time.shut(now):
            return
        self.tests.start()
        active = self._active.visited()
        for queue in active:
            busy = queue.queued or queue.lane.in_flight
            if busy:
                queue.busy_at = now
            # Also for a lane that is empty now: a lane with little work is empty at most ticks.
            if queue.busy_at >= queue.policy_at and now - queue.policy_at >= _POLICY_EVERY:
                self._read_policy(queue, now)
            if busy:
                queue.lane.crowd(self.loop_iteration_seconds)
                self._adjust(queue, now)
            else:
                self._active.without_work(queue, now)
        for queue in self._active.forgotten(now):
            del self._queues[queue.subscription_id]
        self._note_idle()
        if active:
            # This callback runs after all callbacks that are ready now.
            asyncio.get_running_loop().call_soon(self._measure_iteration, self._clock.monotonic())

    def _measure_iteration(self, since: float) -> None:
        self.loop_iteration_seconds = self._clock.monotonic() - since

    def _adjust(self, queue: LaneQueue, now: float) -> None:
        """Defer the work that a busy lane cannot serve within a second."""
        lane = queue.lane
        if queue.permits.prompt and not lane.prompt(now):
            self._permits.slowed(queue.permits)
        if not queue.queued:
            return
        alone = self._alone(queue.subscription_id, now)
        # Background deliveries first. Others are deferred only if none of those is left, and get earlier slots.
        excess = min(lane.excess(queue.queued, now, alone=alone), _MOST_PUT_OFF)
        background = queue.shed(queue.background, excess, now)
        excess = lane.excess(len(queue.waiting), now, alone=alone)
        live = queue.shed(queue.waiting, min(excess, _MOST_PUT_OFF - len(background)), now)
        self._put_off(queue, (*live, *background), now)
        self._start(queue, now)

    def status(self, subscription_id: str) -> LaneStatus | None:
        """Return the status of a lane; None: there is no lane, since it had no work for long."""
        queue = self._queues.get(subscription_id)
        return None if queue is None else queue.lane.status(queue.queued, self._clock.monotonic())

    def to_look_at(self, most: int, partner_of: Callable[[str], str]) -> LanesStatus:
        """Return the lanes that operators should look at, as `lane_overview`; checks the breaker of every lane."""
        active, now = self._active.visited(), self._clock.monotonic()
        return lane_overview(active, self.open_breakers, now, most, partner_of)

    @property
    def open_breakers(self) -> frozenset[str]:
        """The subscriptions whose circuit breakers are open or half open."""
        return frozenset(name for name, queue in self._queues.items() if queue.lane.broken)

    def drop(self, gone: frozenset[TopicPartition]) -> list[Work]:
        """Remove and return the queued work of revoked partitions."""
        dropped = self._dropped(lambda work: work.receipt.where in gone)
        self._note_idle()
        return dropped

    def empty(self) -> list[Work]:
        """Remove and return all queued work, since the worker drains."""
        self._closed = True
        dropped = self._dropped(lambda _: True) + self.tests.close()
        self._note_idle()
        return dropped

    def _dropped(self, gone: Callable[[Work], bool]) -> list[Work]:
        dropped = [work for queue in self._queues.values() for work in queue.drop(gone)]
        self.waiting -= len(dropped)
        return dropped + self.tests.drop(gone)

    async def idle(self) -> None:
        """Wait until nothing waits and nothing is in flight."""
        await self._idle.wait()
