"""Combines all stages of one worker: intake and retrier, lanes, settler, and the drain.

1. `run` takes and delivers records until `stop` is set.
2. Then intake ends, queued work is dropped unsettled, attempts in flight finish.
3. Their results are made durable, and settled offsets are committed.

Work that is cut off by the caller's deadline is unsettled: another worker takes it again.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from hookstream.core.lanes.policy import LanePolicy
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import TopicPartition
from hookstream.core.model.subscription import Batch, Limits
from hookstream.core.model.subscription_status import (
    Absent,
    Deleted,
    DisabledStatus,
    Held,
    Live,
    Paused,
    SubscriptionStatus,
    Unreadable,
)
from hookstream.core.retry.tiers import Ladder
from hookstream.core.retry.waiting import WaitingRoom
from hookstream.errors import InvariantBroken
from hookstream.pipeline.admission import Admission
from hookstream.pipeline.attempts import Attempts
from hookstream.pipeline.batches import BatchAttempts
from hookstream.pipeline.broker_clock import time_request
from hookstream.pipeline.budget import Budget
from hookstream.pipeline.commit_interval import COMMIT_EVERY, commit
from hookstream.pipeline.defects import Step, Unexpected, described, line_of
from hookstream.pipeline.eligibility import Eligibility
from hookstream.pipeline.endless import endless
from hookstream.pipeline.engine_rules import EngineRules
from hookstream.pipeline.event_ids import EventIds
from hookstream.pipeline.fence import Fence
from hookstream.pipeline.gate import Gate
from hookstream.pipeline.guarded import GuardedLogger, GuardedMetrics, GuardedTracer
from hookstream.pipeline.intake import Intake
from hookstream.pipeline.lanes import Lanes
from hookstream.pipeline.partitions import Gap, Partitions
from hookstream.pipeline.periodic import periodic
from hookstream.pipeline.ports import Ports, WriteRefused
from hookstream.pipeline.retrier import Retrier, WaitingRecord, is_background
from hookstream.pipeline.row_checks import RowChecks
from hookstream.pipeline.settler import Settler

__all__ = ["Engine", "EngineRules", "Ports"]

_TICK_EVERY = 0.25
_CLOCK_EVERY = 1.0
_FAILURES = 3
"""Consecutive failures of a timer that end the process."""

_CAREFUL_RATE = 1.0
"""Attempts a second of a lane whose limits cannot be read: there may be a rate limit."""


class Engine:
    """One worker's pipeline. Create it, start the sources with its listeners, then `run` it once."""

    def __init__(self, ports: Ports, rules: EngineRules) -> None:
        """Wire the stages; nothing moves before `run`."""
        ports = self._ports = _guarded(ports)
        self._rules = rules
        budget = self.budget = Budget(rules.max_deliveries, rules.max_bytes)
        self.events = Partitions(ports.events, self, ports.logger, ports.metrics)
        self.tiers = Partitions(ports.tiers, self, ports.logger, ports.metrics)
        self.room: WaitingRoom[WaitingRecord] = WaitingRoom(
            rules.waiting_room_bytes, rules.waiting_room_floor, is_background
        )
        gate = self.gate = Gate(ports)
        fence = self._fence = Fence(ports.skips, ports.clock, ports.logger, gate.wait)
        settler = self._settler = Settler(ports, Ladder(rules.tiers), budget, fence)
        eligibility = Eligibility(ports, rules, fence, gate.is_open)
        attempts = Attempts(ports, rules, eligibility, settler, fence)
        batches = self._batches = BatchAttempts(
            ports, rules, eligibility, attempts, settler, fence
        )
        lanes = self.lanes = Lanes(
            ports.clock,
            ports.logger,
            max_in_flight=rules.max_in_flight,
            policy=self._lane_policy,
            begin=attempts.begin,
            attempt=attempts.attempt,
            attempt_together=batches.attempt,
            overflow=batches.overflow,
            abandon=batches.abandon,
            may_act=gate.was_open,
        )
        batches.put_back = lanes.put_back
        ids = EventIds(ports, fence)
        admission = Admission(ports, rules, attempts, lanes, settler, gate, ids, fence)
        self._intake = Intake(ports, rules, self.events, gate, admission, budget)
        self._retrier = Retrier(
            ports, self.tiers, self.room, gate, admission, lanes, settler, eligibility, ids, fence
        )
        self._time_requested = False
        """Whether a write that requests the brokers' time is not acknowledged yet."""
        self._loops: list[asyncio.Task[None]] = []

    def _lane_policy(self, subscription_id: str) -> LanePolicy:
        """Return the limits of a lane; the lowest ones if a defect of ours prevents reading them."""
        ports, rules = self._ports, self._rules
        try:
            status = ports.directory.status(subscription_id, ports.clock.now())
            limits, batch = _limits_of(status)
            rate = None if limits.rate_limit is None else limits.rate_limit * self._share()
        except Exception as error:  # noqa: BLE001  the fence: the caller is a timer, not a record
            self._fence.note(error, Step.PREPARE)
            limits, rate, batch = Limits(max_in_flight=1), _CAREFUL_RATE, None
        return LanePolicy(
            limits.max_in_flight,
            max_queue=rules.max_deliveries,
            rate_limit=rate,
            probe_every=rules.probe_every / 1000,
            weight=limits.weight,
            batch_events=1 if batch is None else batch.max_events,
            batch_wait=0.0 if batch is None else batch.max_wait / 1000,
        )

    def _share(self) -> float:
        """Return this worker's share of every rate limit: the share of the partitions that it owns.

        The shares of all workers add up to one, so that together they never exceed the limit.
        """
        exist = self.events.exist + self.tiers.exist
        return 1.0 if exist == 0 else min(1.0, max(1, self.events.ours + self.tiers.ours) / exist)

    async def run(self, stop: asyncio.Event, drained: Millis) -> bool:
        """Run until `stop` is set, then drain for at most `drained` milliseconds; return whether that sufficed."""
        in_time = True
        async with asyncio.TaskGroup() as tasks:
            operating = tasks.create_task(self._operate())
            await stop.wait()
            try:
                async with asyncio.timeout(drained / 1000):
                    await self._drain()
            except TimeoutError:
                in_time = False
            operating.cancel()
        self.commit()
        return in_time

    async def _operate(self) -> None:
        """Run every task of the engine as a child; cancelling this one ends them all."""
        async with asyncio.TaskGroup() as tasks:
            self.lanes.open(tasks)
            self._fence.open(tasks)
            tick = partial(self._every, _TICK_EVERY, self.lanes.tick)
            commits = partial(self._every, COMMIT_EVERY, self.commit)
            looks = partial(self._every, _CLOCK_EVERY, self._look_at_clock)
            self._loops = [
                tasks.create_task(endless("the intake", self._intake.run)),
                tasks.create_task(endless("the tier reader", self._retrier.take)),
                tasks.create_task(endless("the tier release", self._retrier.release)),
                tasks.create_task(endless("the lanes' timer", tick)),
            ]
            tasks.create_task(endless("the attempts", self.lanes.runs.watch))
            tasks.create_task(endless("the commit loop", commits))
            checks = RowChecks(
                self._ports.registries,
                self._ports.schema_rows,
                self._ports.logger,
                partial(self._fence.note, step=Step.NOTIFY),
            )
            tasks.create_task(endless("the check of registries' rows", checks.run))
            tasks.create_task(endless("the clock check", looks))

    async def _drain(self) -> None:
        """End intake, drop queued work, let attempts finish, and wait until their results are durable."""
        for loop in self._loops:
            loop.cancel()
        for work in self.lanes.empty():
            self._batches.abandon(work)
        await self.lanes.idle()
        await self._settler.idle()

    # As PartitionsListener says.

    def on_gone(self, partitions: frozenset[TopicPartition]) -> None:
        """Drop the waiting work of revoked or lost partitions."""
        for work in self.lanes.drop(partitions):
            self._batches.abandon(work)
        for where in partitions:
            self.room.drop(where)

    def on_gap(self, partitions: Partitions, where: TopicPartition, gap: Gap) -> None:
        """Publish a gap in the log on the operations topic, before its partition is committed."""
        self._fence.insist(
            partial(self._publish_gap, partitions, where, gap),
            partial(partitions.is_unpublished, where, gap),
        )

    def on_stopped(self, where: TopicPartition) -> None:
        """Resume a stopped partition if an operator has named its start."""
        self._ports.on_stopped(where)

    def on_started(self, where: TopicPartition, begin: int) -> None:
        """Skip blocked records below the offset at which an operator resumes a partition."""
        self._ports.skips.skip_below(where, begin)

    def _publish_gap(self, partitions: Partitions, where: TopicPartition, gap: Gap) -> None:
        ports = self._ports
        event = ports.own_records.log_gap(where, *gap, ports.clock.now())

        def acknowledged(refused: WriteRefused | None) -> None:
            if refused is not None:
                ports.logger.error(
                    "log.gap_not_published", topic=where.topic, detail=refused.detail
                )
            partitions.gap_published(where, gap)

        ports.sink.write(event, acknowledged)

    def _look_at_clock(self) -> None:
        ports = self._ports
        ports.agreement.look()
        if ports.agreement.needs_timestamp and not self._time_requested:
            self._time_requested = True
            try:
                ports.sink.write(time_request(ports.topics), self._time_answered)
            except BaseException:
                # Otherwise the time would never be requested again, and the gate would never open.
                self._time_requested = False
                raise

    def _time_answered(self, refused: WriteRefused | None) -> None:
        self._time_requested = False
        if refused is not None:
            self._ports.agreement.unstamped(refused.detail)

    def commit(self) -> None:
        """Commit what was settled, in both groups."""
        commit((self.events, self.tiers))

    async def _every(self, seconds: float, act: Callable[[], None]) -> None:
        """Act periodically. A failure is logged; `_FAILURES` in a row end the process."""
        failures = 0

        def turn() -> None:
            nonlocal failures
            try:
                act()
            except Exception as error:
                failures += 1
                self._fence.note(error, Step.NOTIFY)
                if failures == _FAILURES:
                    raise InvariantBroken(
                        f"{line_of(error)} failed {failures} times in a row: {described(error)}"
                    ) from error
            else:
                failures = 0

        await periodic(seconds, turn)


def _guarded(ports: Ports) -> Ports:
    """Return the ports with a logger, metrics and tracer that never raise."""
    unexpected = Unexpected(ports.logger)
    return replace(
        ports,
        tracer=GuardedTracer(ports.tracer, unexpected),
        metrics=GuardedMetrics(ports.metrics, unexpected),
        logger=GuardedLogger(ports.logger, unexpected),
    )


def _limits_of(status: SubscriptionStatus) -> tuple[Limits, Batch | None]:
    """Return the limits and batches of a subscription, even if nothing may be attempted now.

    The lane may outlive that state, and must not flood an endpoint whose row has just arrived.
    """
    match status:
        case Live() | Held() | Paused() | DisabledStatus():
            return status.subscription.limits, status.subscription.batch
        case Deleted() | Unreadable() | Absent():
            return Limits(max_in_flight=1), None
