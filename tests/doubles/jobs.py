"""A jobs table with transactions in memory, and executors whose processes can be killed and frozen.

Every call passes two points, before and after its effect. A process can be killed or frozen at each.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache

from tests.doubles.clock import NOON, LoopClock

from hookstream.core.jobs.job import Job, JobState, read_job
from hookstream.core.jobs.row_problem import RowProblem
from hookstream.core.jobs.step import JobEnd, JobStep, NextStep
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import OutgoingRecord
from hookstream.core.model.topics import Topics
from hookstream.errors import DependencyUnavailable, ProducerFenced
from hookstream.pipeline.job_kind import Executor, JobKind, JobWork, StepWriter, Written

TOPICS = Topics()
POINT = 0.01
"""Virtual seconds that pass at each point."""

seen_job = lru_cache(256)(read_job)
"""Reads a row for whoever only observes the table: they look at each row many times."""


@dataclass
class JobsBroker:
    """What outlives processes: rows, records, and who may write."""

    clock: LoopClock = field(default_factory=LoopClock)
    skew: Millis = 0
    """By how much the broker's clock is ahead; tests step it."""
    rows: dict[str, tuple[bytes, Millis]] = field(default_factory=dict)
    records: list[OutgoingRecord] = field(default_factory=list)
    """What was committed to other topics."""
    revisions: list[Job] = field(default_factory=list)
    """Every row of a job that was committed."""
    epochs: dict[str, int] = field(default_factory=dict)
    too_large: set[bytes] = field(default_factory=set)
    """Values that topics refuse."""
    is_away: bool = False

    def now(self) -> Millis:
        return self.clock.now() + self.skew

    def job(self, job_id: str) -> Job:
        value, at = self.rows[job_id]
        job = seen_job(job_id, value, at)
        assert isinstance(job, Job)
        return job

    def put(self, job: Job) -> None:
        """Write a row as another process would have."""
        self.rows[job.id] = (job.encode(), self.now())

    def append(self, records: Sequence[OutgoingRecord]) -> Millis:
        at = self.now()
        for record in records:
            key = (record.key or b"").decode()
            if record.topic != TOPICS.jobs:
                self.records.append(record)
            elif record.value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = (record.value, at)
                job = seen_job(key, record.value, at)
                if isinstance(job, Job):
                    self.revisions.append(job)
        return at


@dataclass(eq=False)
class Process:
    """One process with the broker's ports. Implements `JobTable`."""

    broker: JobsBroker
    is_dead: bool = False
    frozen: asyncio.Event | None = None
    """Set it to let a frozen process go on; None: it is not frozen."""
    points: int = 0
    at_point: dict[int, Callable[["Process"], None]] = field(default_factory=dict)
    """What happens at the n-th point: `die`, `freeze`, or raising an error."""

    def die(self) -> None:
        """Do nothing any more, like a killed process."""
        self.is_dead = True

    def freeze(self) -> None:
        self.frozen = asyncio.Event()

    def thaw(self) -> None:
        if self.frozen is not None:
            self.frozen.set()
            self.frozen = None

    async def point(self) -> None:
        await asyncio.sleep(POINT)
        self.points += 1
        happens = self.at_point.pop(self.points, None)
        if happens is not None:
            happens(self)
        if self.frozen is not None:
            await self.frozen.wait()
        if self.is_dead:
            await asyncio.Event().wait()  # for ever: its task is cancelled at the end of the test
        if self.broker.is_away:
            raise DependencyUnavailable("the broker is away")

    async def read(self, job_id: str) -> Job | RowProblem | None:
        await self.point()
        row = self.broker.rows.get(job_id)
        await self.point()
        return None if row is None else read_job(job_id, *row)

    async def now(self) -> Millis:
        await self.point()
        at = self.broker.now()
        await self.point()
        return at

    async def open_writer(self, job_id: str) -> StepWriter:
        await self.point()
        epoch = self.broker.epochs[job_id] = self.broker.epochs.get(job_id, 0) + 1
        await self.point()
        return WriterOf(self, job_id, epoch)


@dataclass(eq=False)
class WriterOf:
    """The writer of a job in one process."""

    process: Process
    job_id: str
    epoch: int
    is_closed: bool = False

    async def write(self, records: Sequence[OutgoingRecord]) -> Written:
        assert not self.is_closed
        broker = self.process.broker
        await self.process.point()
        if broker.epochs[self.job_id] != self.epoch:
            raise ProducerFenced("another process opened the writer")
        if any(record.value in broker.too_large for record in records):
            # As a broker does: one record takes the whole batch of its topic with it.
            refused = [at for at, record in enumerate(records) if record.topic != TOPICS.jobs]
            await self.process.point()
            return Written(refused, None)
        at = broker.append(records)
        await self.process.point()
        return Written((), at)

    async def close(self) -> None:
        self.is_closed = True


LETTERS = "retry.0s"


@dataclass
class Counting:
    """A kind whose job writes the numbers from 0 up to `asked["until"]`, some in each step."""

    name: str = "count"
    step: int = 3
    slow: float = 0.0
    """Seconds for which each step is prepared."""
    before: Callable[[Job], NextStep | None] = lambda _: None
    """Answers instead of the next step, or raises."""
    opened: int = 0

    @asynccontextmanager
    async def open(self, job: Job) -> AsyncIterator[JobWork]:
        self.opened += 1
        yield _Numbers(self, int(str(job.reached.get("next", 0))))


@dataclass
class _Numbers:
    kind: Counting
    at: int
    alone: bool = False

    async def next(self, job: Job) -> NextStep:
        await asyncio.sleep(self.kind.slow)
        instead = self.kind.before(job)
        if instead is not None:
            return instead
        until = int(str(job.asked["until"]))
        most = 1 if self.alone or job.rate is not None else self.kind.step
        numbers = range(self.at, min(until, self.at + most))
        if not numbers:
            return JobEnd(JobState.DONE)
        return JobStep(
            [number(n) for n in numbers], len(numbers), reached={"next": numbers[-1] + 1}
        )

    async def committed(self, step: JobStep) -> None:
        self.at += len(step.records)

    async def refused(self, step: JobStep, too_large: Sequence[int]) -> None:
        assert [*too_large] == [*range(len(step.records))]
        if self.alone:
            self.at += 1
        self.alone = True


def number(n: int) -> OutgoingRecord:
    return OutgoingRecord(LETTERS, str(n).encode(), str(n).encode())


def counting_job(until: int, *, rate: float | None = None, job_id: str = "count-1") -> Job:
    return Job(job_id, "count", {"until": until}, NOON, total=until, rate=rate)


def executor(process: Process, name: str = "a", *kinds: JobKind) -> Executor:
    return Executor(
        name,
        TOPICS,
        process,
        {kind.name: kind for kind in kinds or (Counting(),)},
        process.broker.clock,
    )


def numbers(broker: JobsBroker) -> list[int]:
    """Return what the jobs of a broker have written, in order."""
    return [int(record.value or b"") for record in broker.records if record.topic == LETTERS]
