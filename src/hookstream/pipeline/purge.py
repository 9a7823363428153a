"""Purges, the kind of job that resolves dead letters without delivering them.

1. A barrier is written, which keeps releases without purges from redriving.
2. The purge waits while another job is at work on the same topic (`core/jobs/turns.py`), and removes
   the barrier meanwhile.
3. Records are read up to the job's ends; those that are resolved or not selected are skipped. If the
   topic was deleted and created again since the purge was requested, the purge ends here. Up to
   10,000 of them make a step: the marks that resolve them. An executor that dies leaves whole steps
   behind, and the next one continues with what is still open.
4. At the end, rows of the jobs table that are no longer needed are removed, the barrier with the job's
   last row.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import NamedTuple

from hookstream.core.jobs.job import PURGE, Job, JobState
from hookstream.core.jobs.step import JobEnd, JobStep, JobWait, NextStep
from hookstream.core.model.record import OutgoingRecord, Record
from hookstream.core.model.topics import Topics
from hookstream.core.redrive.ledger import Ledger
from hookstream.core.redrive.marks import (
    MarkBook,
    Position,
    barrier,
    barrier_key,
)
from hookstream.core.redrive.purge import PurgeRequest, purge_of
from hookstream.errors import InputRefused, InvariantBroken
from hookstream.pipeline.dead_letter_jobs import (
    REMOVED_AT_ONCE,
    ClosingOffload,
    DeadLetters,
    WorkedTopic,
    begun,
    removable_rows,
    required_request,
    worked_on,
)
from hookstream.pipeline.job_kind import JobWork
from hookstream.pipeline.ports import Clock, Offload

STEP_POSITIONS = 10_000
"""The most records that a step resolves."""
BOOK_RANGES = 2_000
"""The most ranges of a mark, which is written again with each step that reaches its partition."""


class PurgeMeans(NamedTuple):
    """What one purge reads, and which records it takes."""

    dead_letters: DeadLetters
    selects: Callable[[Record], bool]


@dataclass(slots=True, frozen=True)
class PurgeKind:
    """The kind of job `purge`."""

    topics: Topics
    clock: Clock
    means: Callable[[PurgeRequest], PurgeMeans]
    """Prepares a purge. It blocks, and may raise the exceptions of `JobWork.next`."""
    offload: Callable[[], ClosingOffload]
    """Makes the thread of one purge."""
    name: str = PURGE

    @asynccontextmanager
    async def open(self, job: Job) -> AsyncIterator[JobWork]:
        """As `JobKind` says.

        Raises:
            InputRefused: The request cannot be read.
        """
        request = required_request(purge_of(job), job)
        offload = self.offload()
        async with worked_on(Purging(self, job, request, offload), offload) as work:
            yield work


class _Stage(Enum):
    BARRIER = auto()
    RIVALS = auto()
    WITHDRAWN = auto()
    READING = auto()
    ENDING = auto()


@dataclass(slots=True, eq=False)
class Purging:
    """One executor's work on one purge."""

    kind: PurgeKind
    job: Job
    request: PurgeRequest
    offload: Offload
    _stage: _Stage = _Stage.BARRIER
    _withdrawal: InputRefused | None = None
    _topic: WorkedTopic | None = None
    _open: Iterator[Position] = field(default_factory=lambda: iter(()))
    _book: MarkBook = field(init=False)
    _stale: deque[str] = field(default_factory=deque)
    _is_over: bool = False

    def __post_init__(self) -> None:
        """Start a new book of marks, whose keys differ from those of earlier work."""
        purged = self.request.purged(self.job.asked_at)
        self._book = MarkBook(self.job.id, self.request.source, BOOK_RANGES, purged)

    async def next(self, job: Job) -> NextStep:
        """As `JobWork` says.

        Raises:
            DependencyUnavailable: The jobs table was not read to its end, or the topic's id not at all.
            InputRefused: A row of the jobs table cannot be read: what is open is not known.
        """
        if self._stage is _Stage.BARRIER:
            self._stage = _Stage.RIVALS
            return JobStep([self._row(barrier_key(self.job.id), barrier())])
        if self._stage is _Stage.RIVALS:
            stopped = await self.offload.run(lambda: self._begin(job))
            if stopped is not None:
                return self._withdrawn(stopped)
            self._stage = _Stage.READING
        if self._withdrawal is not None:
            raise self._withdrawal
        if self._stage is _Stage.READING:
            positions = await self.offload.run(self._gather)
            if isinstance(positions, JobEnd):
                return self._ended(positions)
            if positions:
                marks = self._book.resolve(positions)
                rows = [self._row(mark.key, mark.encode()) for mark in marks]
                return JobStep(rows, done=len(positions))
            self._stage = _Stage.ENDING
            self._stale = deque(await self.offload.run(self._removable))
        return self._last()

    def _withdrawn(self, stopped: InputRefused | JobWait | JobEnd) -> NextStep:
        """Return the step of a purge that must not read, which removes the barrier."""
        if isinstance(stopped, JobEnd):
            return self._ended(stopped)
        self._stage = _Stage.WITHDRAWN
        without = [self._row(barrier_key(self.job.id), None)]
        if isinstance(stopped, JobWait):
            return JobWait(stopped.behind, without)
        self._withdrawal = stopped
        return JobStep(without)

    async def committed(self, step: JobStep) -> None:
        """As `JobWork` says: the marks grow with what is written, and an error ends this work."""

    async def refused(self, step: JobStep, too_large: Sequence[int]) -> None:
        """As `JobWork` says; marks are bounded far below the limit of a record."""
        sizes = [len(step.records[at].value or b"") for at in too_large]
        raise InvariantBroken(
            f"{self.kind.topics.jobs} refuses marks of {max(sizes, default=0):,} bytes: raise its"
            " max.message.bytes to 1048576"
        )

    def end(self) -> None:
        """Let the thread end its reading at the next record."""
        self._is_over = True

    def close(self) -> None:
        """Close the reader, in the thread."""
        close = getattr(self._open, "close", None)
        self._open = iter(())
        if close is not None:
            close()

    def _row(self, key: str, value: bytes | None) -> OutgoingRecord:
        return OutgoingRecord(self.kind.topics.jobs, key.encode(), value)

    def _last(self) -> NextStep:
        keys = [self._stale.popleft() for _ in range(min(REMOVED_AT_ONCE, len(self._stale)))]
        if keys:
            return JobStep([self._row(key, None) for key in keys])
        return self._ended(JobEnd(JobState.DONE))

    def _ended(self, end: JobEnd) -> JobEnd:
        """Return an end with which the barrier is removed."""
        return replace(end, records=[self._row(barrier_key(self.job.id), None)])

    # In the thread.

    def _begin(self, job: Job) -> InputRefused | JobWait | JobEnd | None:
        """Begin to read, or return why the purge must not: the barrier is not needed then."""
        try:
            means, request = self.kind.means(self.request), self.request
            found = begun(means.dead_letters, job, request.source, request.topic_id)
        except InputRefused as refused:
            return refused
        if not isinstance(found, WorkedTopic):
            return found
        self._topic, self._book.topic_id = found, found.topic_id
        self._open = self._selected(means, found.ledger)
        return None

    def _selected(self, means: PurgeMeans, ledger: Ledger) -> Iterator[Position]:
        source = self.request.source
        for record in means.dead_letters.records(self.request.ends):
            if self._is_over:
                return
            position = Position(record.partition, record.offset)
            if ledger.is_open(source, position) and means.selects(record):
                yield position

    def _gather(self) -> list[Position] | JobEnd:
        positions: list[Position] = []
        for position in self._open:
            positions.append(position)
            if len(positions) >= STEP_POSITIONS:
                break
        gone = None if self._topic is None else self._topic.end_if_gone()
        return gone or positions

    def _removable(self) -> list[str]:
        if self._topic is None:
            return []
        return removable_rows(self._topic.dead_letters, self.kind.clock.now())
