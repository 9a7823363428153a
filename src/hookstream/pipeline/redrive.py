"""Redrives, the kind of job that brings dead letters back to `retry.0s`.

1. It waits while another job is at work on the same topic (`core/jobs/turns.py`).
2. Dead letters are read up to the job's ends; those that are resolved or not selected are skipped. If
   the topic was deleted and created again since the job was requested, the job ends here.
3. Up to 500 of them make a step: their tier records, and the marks that resolve them. An executor
   that dies leaves whole steps behind, so each dead letter comes back once, however often the job is
   continued.
4. At the end, rows of the jobs table that are no longer needed are removed.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from hookstream.core.jobs.job import REDRIVE, Job, JobState
from hookstream.core.jobs.step import (
    STEP_BYTES,
    JobEnd,
    JobStep,
    JobWait,
    NextStep,
    bounded_by_rate,
)
from hookstream.core.model.record import OutgoingRecord, Record
from hookstream.core.model.topics import Topics
from hookstream.core.redrive.job import LEFT_OUT, UNREDRIVABLE, RedriveRequest, request_of
from hookstream.core.redrive.ledger import Ledger
from hookstream.core.redrive.marks import MarkBook, Position
from hookstream.core.redrive.revive import Unredrivable
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

Revived: TypeAlias = tuple[Position, OutgoingRecord]


def nothing_prevents(_: Record) -> None:
    """Leave no selected record out."""


class RedriveMeans(NamedTuple):
    """What one redrive reads, and by which rules."""

    dead_letters: DeadLetters
    selects: Callable[[Record], bool]
    """Whether a record is selected."""
    revive: Callable[[Record], OutgoingRecord | Unredrivable]
    """Returns the tier record that brings it back."""
    obstacle: Callable[[Record], str | None] = nothing_prevents
    """Returns why a selected record is left out by the tables as they are now; None: it is not."""


def not_reported(_: Unredrivable) -> None:
    """Report nothing: the job's row has the number, and the first reason."""


@dataclass(slots=True, frozen=True)
class RedriveKind:
    """The kind of job `redrive`."""

    topics: Topics
    clock: Clock
    means: Callable[[RedriveRequest], RedriveMeans]
    """Prepares a redrive. It blocks, and may raise the exceptions of `JobWork.next`."""
    offload: Callable[[], ClosingOffload]
    """Makes the thread of one redrive."""
    report: Callable[[Unredrivable], None] = not_reported
    """Called with each record that stays open though it was selected; called again if a redrive is
    continued."""
    name: str = REDRIVE

    @asynccontextmanager
    async def open(self, job: Job) -> AsyncIterator[JobWork]:
        """As `JobKind` says.

        Raises:
            InputRefused: The request cannot be read.
        """
        request = required_request(request_of(job), job)
        offload = self.offload()
        async with worked_on(Redriving(self, job.id, request, offload), offload) as work:
            yield work


@dataclass(slots=True, eq=False)
class Redriving:
    """One executor's work on one redrive."""

    kind: RedriveKind
    job_id: str
    request: RedriveRequest
    offload: Offload
    _topic: WorkedTopic | None = None
    _found: Iterator[Revived] = field(default_factory=lambda: iter(()))
    _alone: deque[Revived] = field(default_factory=deque)
    """Records that were refused together, and are written one by one."""
    _chunk: list[Revived] = field(default_factory=list)
    """The records of the last step."""
    _book: MarkBook = field(init=False)
    _trial: MarkBook = field(init=False)
    """The marks with those of the last step."""
    _unredrivable: int = 0
    _first: Unredrivable | None = None
    _left_out: int = 0
    _first_left_out: str = ""
    _stale: deque[str] | None = None
    _is_over: bool = False

    def __post_init__(self) -> None:
        """Start a new book of marks, whose keys differ from those of earlier work."""
        self._book = self._trial = MarkBook(self.job_id, self.request.source)

    async def next(self, job: Job) -> NextStep:
        """As `JobWork` says.

        Raises:
            DependencyUnavailable: The jobs table was not read to its end, or the topic's id not at all.
            InputRefused: A row of the jobs table cannot be read: what is open is not known.
        """
        if self._alone:
            self._chunk = [self._alone[0]]
        else:
            most = bounded_by_rate(job.rate)
            found = await self.offload.run(lambda: self._gather(job, most))
            if isinstance(found, JobWait | JobEnd):
                return found
            self._chunk = found
        if not self._chunk:
            return await self.offload.run(lambda: self._last(job))
        self._trial = self._book.trial()
        marks = self._trial.resolve(position for position, _ in self._chunk)
        jobs = self.kind.topics.jobs
        records = [record for _, record in self._chunk]
        records += [OutgoingRecord(jobs, mark.key.encode(), mark.encode()) for mark in marks]
        return JobStep(records, done=len(self._chunk))

    async def committed(self, step: JobStep) -> None:
        """As `JobWork` says."""
        if not step.done:
            return
        self._book = self._trial
        if self._alone:
            self._alone.popleft()

    async def refused(self, step: JobStep, too_large: Sequence[int]) -> None:  # noqa: ARG002  a batch is refused as a whole
        """As `JobWork` says."""
        if not self._alone:
            self._alone.extend(self._chunk)
            return
        position, record = self._alone.popleft()
        why = f"{record.topic} refused it: it is too large for the topic"
        self._leave(Unredrivable(position, why))

    def end(self) -> None:
        """Let the thread end its reading at the next record."""
        self._is_over = True

    def close(self) -> None:
        """Close the reader, in the thread."""
        found = self._found
        self._found = iter(())
        close = getattr(found, "close", None)
        if close is not None:
            close()

    def _leave(self, unredrivable: Unredrivable) -> None:
        self._unredrivable += 1
        self._first = self._first or unredrivable
        self.kind.report(unredrivable)

    # In the thread.

    def _gather(self, job: Job, most: int) -> list[Revived] | JobWait | JobEnd:
        """Return the records of the next step, up to `most`, if it is the job's turn."""
        if self._topic is None:
            means, request = self.kind.means(self.request), self.request
            found = begun(means.dead_letters, job, request.source, request.topic_id)
            if not isinstance(found, WorkedTopic):
                return found
            self._topic, self._book.topic_id = found, found.topic_id
            self._found = self._revived(means, found.ledger)
        chunk: list[Revived] = []
        size = 0
        while len(chunk) < most and size < STEP_BYTES and not self._is_over:
            revived = next(self._found, None)
            if revived is None:
                break
            chunk.append(revived)
            size += len(revived[1].value or b"")
        return self._topic.end_if_gone() or chunk

    def _revived(self, means: RedriveMeans, ledger: Ledger) -> Iterator[Revived]:
        source = self.request.source
        for dead in means.dead_letters.records(self.request.ends):
            if self._is_over:
                return
            position = Position(dead.partition, dead.offset)
            if not ledger.is_open(source, position) or not means.selects(dead):
                continue
            why = means.obstacle(dead)
            if why is not None:
                self._left_out += 1
                self._first_left_out = self._first_left_out or f"{position}: {why}"
                continue
            revived = means.revive(dead)
            if isinstance(revived, Unredrivable):
                self._leave(revived)
            else:
                yield position, revived

    def _last(self, job: Job) -> NextStep:
        """Return the steps after the last record: counts, then the removal of old rows, then the end."""
        more = self._unredrivable - job.counts.get(UNREDRIVABLE, 0)
        if more:
            # Each work counts the records that stay open from the start: the last count is valid.
            note = ""
            if self._first is not None:
                first = f"{self._first.position}: {self._first.why}"
                stay = "stays" if self._unredrivable == 1 else "stay"
                note = f"{self._unredrivable} could not be redriven and {stay} open; the first is {first}"
            return JobStep(counts={UNREDRIVABLE: more}, note=note)
        more = self._left_out - job.counts.get(LEFT_OUT, 0)
        if more:
            note = (
                f"{self._left_out} left out, which stay open; the first is {self._first_left_out}"
            )
            return JobStep(counts={LEFT_OUT: more}, note=note)
        if self._stale is None:
            letters = None if self._topic is None else self._topic.dead_letters
            now = self.kind.clock.now()
            self._stale = deque([] if letters is None else removable_rows(letters, now))
        keys = [self._stale.popleft() for _ in range(min(REMOVED_AT_ONCE, len(self._stale)))]
        if not keys:
            return JobEnd(JobState.DONE)
        topic = self.kind.topics.jobs
        return JobStep([OutgoingRecord(topic, key.encode(), None) for key in keys])
