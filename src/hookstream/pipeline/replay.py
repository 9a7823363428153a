"""Replays in steps, a kind of job: reads the past up to fixed ends, and writes one subscription's deliveries.

1. The ends are fixed once the brokers' clock has passed the interval, in a step of its own.
2. Before each step the subscription is checked, and the audit log is read for deliveries that ended.
3. As many records are read as the window has room for; those that the subscription gets become tier records in
   `retry.0s`.
4. The step has those records and the replay's progress. Both become durable together or not at all, so each
   record is written once, however often its executor dies.
5. When everything was read, the job is done, or incomplete if something was lost meanwhile.

The job does not wait for the ends of the last deliveries: their number is bounded, and they live like any other
delivery.
"""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from hookstream.core.jobs.job import Job, JobState
from hookstream.core.jobs.step import (
    STEP_RECORDS,
    JobEnd,
    JobPause,
    JobStep,
    NextStep,
    bounded_by_rate,
)
from hookstream.core.matching.directory import Directory
from hookstream.core.model.counted import counted
from hookstream.core.model.instant import HOUR, Millis
from hookstream.core.model.record import OutgoingRecord, TopicPartition
from hookstream.core.model.subscription import expiry_of
from hookstream.core.model.topics import Topics
from hookstream.core.redrive.runs import Run
from hookstream.core.replay.extent import Extent, lost_text
from hookstream.core.replay.outstanding import WINDOW, Outstanding, Place
from hookstream.core.replay.reached import Reached, read_reached
from hookstream.core.replay.request import KIND, ReplayRequest, read_request
from hookstream.core.replay.step_status import Proceed, Refuse, Wait, step_status
from hookstream.errors import InvariantBroken
from hookstream.pipeline.bursts import Bursts
from hookstream.pipeline.past_judge import Fate, JudgedRecord, PastJudge
from hookstream.pipeline.past_ports import Endings, PastLog
from hookstream.pipeline.past_reading import (
    EndsNotYet,
    FixedEnds,
    PastPiece,
    PastReading,
    fix_ends,
)
from hookstream.pipeline.ports import Clock, Codec, Offload, Tables

_FULL_SECONDS: Final = 0.5
_IDLE_SECONDS: Final = 0.3
_STATUS_SECONDS: Final = 2.0
_TABLES_SECONDS: Final = 0.5
_COUNTED: Final = (Fate.LEFT_TO_WORKERS, Fate.NOT_GRANTED, Fate.UNDECODABLE)
"""The fates that the job's row counts, in addition to the written records."""
_NAMED: Final = 3


@dataclass(slots=True, frozen=True)
class ReplayPorts:
    """The ports of a replay."""

    topics: Topics
    log: PastLog
    endings: Callable[[Job, str, Mapping[int, int] | None], AbstractAsyncContextManager[Endings]]
    """Follows the audit log for the deliveries of a job to a subscription, from these offsets on; None:
    from its present end."""
    directory: Directory
    tables: Tables
    tables_read: Callable[[], Awaitable[None]]
    """Waits until the tables are read to their present ends; raises as `JobWork.next` does."""
    codec: Codec
    offload: Offload
    clock: Clock
    grace: Millis
    """`retry.unknown_schema_grace`: how long an event waits for its schema at most."""
    mark_incomplete: Callable[[str, str], Awaitable[None]]
    """Takes a subscription and a job that fills its gaps: marks in the subscription's row that the job may have lost
    records, unless that is marked already; raises as `JobWork.next` does."""


@dataclass(slots=True, frozen=True)
class ReplayKind:
    """Replays as a kind of job."""

    ports: Callable[[], AbstractAsyncContextManager[ReplayPorts]]
    """Makes the ports of one replay; its tables are read."""
    name: str = KIND

    @asynccontextmanager
    async def open(self, job: Job) -> "AsyncIterator[ReplayWork]":
        """As JobKind says."""
        request, reached = read_request(job.asked), read_reached(job.reached)
        # Long work begins in `next`, during which the lease is renewed.
        async with self.ports() as ports, AsyncExitStack() as stack:
            judge = PastJudge(ports.codec, ports.directory, ports.offload, request)
            reading = PastReading(ports.log, judge, ports.clock, in_bursts=True)
            await stack.enter_async_context(reading)
            yield ReplayWork(job.id, request, reached, ports, reading, stack)


@dataclass(slots=True, frozen=True)
class _Item:
    """One tier record of a step."""

    record: OutgoingRecord
    place: Place
    until: Millis
    """When it counts as ended, if the audit log says nothing."""


@dataclass(slots=True)
class _Batch:
    """The content of a step."""

    items: Sequence[_Item]
    reached: Reached
    """The progress when it is durable, except the outstanding deliveries."""
    counts: Mapping[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class ReplayWork:
    """One executor's work on one replay."""

    job_id: str
    request: ReplayRequest
    reached: Reached
    """The durable progress; deliveries that ended since are removed from `out`."""
    ports: ReplayPorts
    reading: PastReading
    stack: AsyncExitStack
    """Closes what was opened for this work."""
    _endings: Endings | None = None
    _ahead: float = 0.0
    """Seconds by which the brokers' clock is ahead of this machine's clock since boot, at least."""
    _asked: _Batch | None = None
    """The batch of the last step, until it is durable."""
    _parts: "deque[Sequence[_Item]]" = field(default_factory=deque)
    """The remaining parts of a step that was too large, in order; `_whole` is recorded with the last one."""
    _whole: _Batch | None = None
    _is_marked: bool = False
    """Whether this executor has seen to it that the row says what may be lost."""

    async def next(self, job: Job) -> NextStep:
        """As JobWork says."""
        endings = await self._opened(job)
        stand = self._stand(job)
        if not isinstance(stand, Proceed):
            return stand
        await self._count_ended(endings)
        if self._whole is not None:
            if self._whole.reached.too_large:
                await self._mark_incomplete()
            return self._part(self._whole)
        if self.reached.extent is None:
            return await self._fix()
        if self.reached.is_read:
            return await self._over()
        return await self._read_on(job, self.reached.extent)

    async def _read_on(self, job: Job, extent: Extent) -> NextStep:
        room = self.reached.out.room
        if not room:
            return JobPause(
                _FULL_SECONDS, f"the window is full: {WINDOW:,} deliveries are outstanding"
            )
        left = self._left(job)
        if not left:
            most_events = counted(self.request.most_events or 0, "event")
            return JobEnd(JobState.INCOMPLETE, f"it ended after {most_events}, as it was asked")
        most = min(room, bounded_by_rate(job.rate), STEP_RECORDS, left)
        piece = await self.reading.piece(extent, most)
        if not piece.moved:
            piece, why = await self.reading.check(extent)
            if not piece.moved:
                return JobPause(_IDLE_SECONDS, why)
        # Reading took a while: if the step is no longer allowed, the records are read again when it is.
        stand = self._stand(job)
        if not isinstance(stand, Proceed):
            return stand
        return self._step(await self._batch(piece, stand))

    def _left(self, job: Job) -> int:
        """Return how many more events it may replay."""
        most = self.request.most_events
        return STEP_RECORDS if most is None else max(0, most - job.done)

    async def committed(self, step: JobStep) -> None:
        """As JobWork says."""
        del step
        if self._asked is None:
            raise InvariantBroken("a step is durable that was not asked for")
        self.reached = self._asked.reached
        if self._whole is not None and not self._parts:
            self._whole = None
        self._asked = None

    async def refused(self, step: JobStep, too_large: Sequence[int]) -> None:
        """As JobWork says: the step is tried in halves, down to single records."""
        del step, too_large
        batch, self._asked = self._asked, None
        if batch is None or not batch.items:
            raise InvariantBroken("a step without records is too large")
        if self._whole is None:
            self._whole = batch
        items = batch.items
        if len(items) > 1:
            half = len(items) // 2
            self._parts.extendleft((items[half:], items[:half]))
            return
        (item,) = items
        if not self._parts:
            self._parts.append(())
        whole = self._whole
        whole.reached = replace(whole.reached, too_large=whole.reached.too_large + 1)
        whole.notes.append(
            f"{item.place.topic}-{item.place.partition}@{item.place.offset} was not replayed: it is"
            f" too large for {item.record.topic}"
        )

    # Before a step.

    def _stand(self, job: Job) -> Proceed | JobPause | JobEnd:
        """Return whether a step may be made, by the present tables."""
        ports, subscription_id = self.ports, self.request.subscription_id
        if not ports.tables.current():
            return JobPause(_TABLES_SECONDS, "the tables are not current")
        if ports.directory.blind:
            key, why = next(iter(ports.directory.blind.items()))
            return JobPause(_STATUS_SECONDS, f"a row of the tables cannot be read: {key}: {why}")
        now = self._now()
        status = ports.directory.status(subscription_id, now)
        status = ports.directory.holds.over(status)
        match step_status(subscription_id, status, self.reached.revisions, job, now):
            case Wait(why):
                return JobPause(_STATUS_SECONDS, why)
            case Refuse(why):
                return JobEnd(JobState.FAILED, why)
            case proceed:
                return proceed

    async def _opened(self, job: Job) -> Endings:
        if not self.ports.tables.current():
            await self.ports.tables_read()
        if self._endings is None:
            now = await self.ports.log.now()
            # The earliest time that the answer allows, which took a while.
            self._ahead = now / 1000 - self.ports.clock.moment().boot
            followed = self.ports.endings(job, self.request.subscription_id, self.reached.audit)
            self._endings = await self.stack.enter_async_context(followed)
        return self._endings

    async def _count_ended(self, endings: Endings) -> None:
        ended = await endings.take()
        out = self.reached.out.without(ended.places, self._now())
        if ended.gap:
            # The audit log is kept for days: deliveries that were outstanding then have ended, or soon will.
            out = Outstanding()
        self.reached = replace(self.reached, out=out, audit=dict(ended.positions))

    # Steps.

    async def _fix(self) -> NextStep:
        match await fix_ends(self.ports.log, self.request):
            case EndsNotYet(seconds, why):
                return JobPause(seconds, why)
            case FixedEnds(extent, curtailed):
                notes = [f"its ends are fixed: {extent.offsets:,} offsets to read"]
                if curtailed:
                    await self._mark_incomplete()
                    notes.append(curtailed_text(curtailed))
                return self._step(_Batch((), replace(self.reached, extent=extent), {}, notes))

    async def _batch(self, piece: PastPiece, stand: Proceed) -> _Batch:
        reached = replace(self.reached, extent=piece.extent, revisions=stand.revisions)
        notes = [stand.note] if stand.note else []
        if piece.lost:
            await self._mark_incomplete()
            reached = reached.losing(piece.lost)
            notes.append(lost_text(piece.lost))
        problems = [judged.problem for judged in piece.wanted if judged.problem]
        if problems:
            notes.append(f"{len(problems)} left to workers to identify: {problems[0]}")
        counts = {fate.value: piece.counts[fate] for fate in _COUNTED if piece.counts[fate]}
        items, bursts = [], Bursts(self.ports.clock)
        for each in piece.wanted:
            items.append(self._item(each))
            await bursts.stand_back()
        return _Batch(items, reached, counts, notes)

    def _item(self, judged: JudgedRecord) -> _Item:
        record = judged.record
        topics, subscription_id = self.ports.topics, self.request.subscription_id
        subscription = self.ports.directory.subscriptions[subscription_id]
        run = Run(topics.tier(0), self.job_id, self.request.as_granted_today)
        now = self._now()
        if judged.fate is Fate.REPLAYED and judged.event is not None:
            # Its expiry is checked and audited when it is next due, a little later.
            until = now + expiry_of(subscription) + HOUR
            made = run.replayed(
                judged.event,
                judged.delivery_id,
                subscription,
                now=now,
                filter_asked=judged.filter_asked,
            )
        else:
            until = now + self.ports.grace
            made = run.unidentified(record, record.origin, subscription, now=now)
        place = Place(record.topic, record.partition, record.offset)
        return _Item(made, place, until)

    def _part(self, whole: _Batch) -> JobStep:
        """Return the next part of a step that was too large as a whole."""
        items = self._parts.popleft()
        if not self._parts:
            return self._step(replace(whole, items=items))
        extent = self.reached.extent
        behind = {TopicPartition(*item.place[:2]): item.place.offset + 1 for item in items}
        reached = replace(self.reached, extent=None if extent is None else extent.moved(behind))
        return self._step(_Batch(items, reached))

    def _step(self, batch: _Batch) -> JobStep:
        written = {item.place: item.until for item in batch.items}
        out = self.reached.out.with_written(written)
        reached = replace(batch.reached, out=out, audit=self.reached.audit)
        self._asked = replace(batch, reached=reached)
        return JobStep(
            records=[item.record for item in batch.items],
            done=len(batch.items),
            counts=batch.counts,
            reached=reached.document(),
            note="; ".join(batch.notes),
        )

    async def _over(self) -> JobEnd:
        reached = self.reached
        if not reached.is_incomplete:
            return JobEnd(JobState.DONE)
        await self._mark_incomplete()
        missing = []
        if reached.lost:
            missing.append(
                f"{counted(reached.lost, 'offset was', 'offsets were')} gone before reading"
            )
        if reached.too_large:
            missing.append(
                f"{counted(reached.too_large, 'event is', 'events are')} too large for a retry topic"
            )
        return JobEnd(JobState.INCOMPLETE, "; ".join(missing))

    async def _mark_incomplete(self) -> None:
        """Mark in the subscription's row that records of its gaps may be lost, before the job's own row does.

        It does so at the first loss: the end of the replay may be days away, or never come.
        """
        if self.request.fills_gap and not self._is_marked:
            await self.ports.mark_incomplete(self.request.subscription_id, self.job_id)
            self._is_marked = True

    def _now(self) -> Millis:
        """Return the time by the brokers' clock."""
        return int((self.ports.clock.moment().boot + self._ahead) * 1000)


def curtailed_text(partitions: Collection[TopicPartition]) -> str:
    """Return the partitions from which retention may have removed records, as a sentence for operators."""
    shown = ", ".join(f"{at.topic}-{at.partition}" for at in sorted(partitions)[:_NAMED])
    more = f" and {len(partitions) - _NAMED} more" if len(partitions) > _NAMED else ""
    return f"retention may have taken records of the interval already: {shown}{more}"
