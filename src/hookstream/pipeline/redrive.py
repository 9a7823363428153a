"""A redrive brings dead letters back in steps, each durable as a whole: records, marks and progress.

1. The job's row is written, and the job steps back where another one is already at work.
2. Dead letters are read up to the job's ends; those that are resolved or not selected are skipped.
3. Up to 500 of them make a step: their tier records, the marks that resolve them and the job's row
   are one transaction. A process that dies leaves whole steps behind, so each dead letter comes back
   once, however often the job is resumed.
4. At the end the job's row says so, and rows that are no longer needed are removed.

This loop blocks: it belongs to a command or to a thread of its own, never to a worker's loop.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from typing import Protocol

from hookstream.core.model.record import OutgoingRecord, Record
from hookstream.core.model.topics import Topics
from hookstream.core.redrive.job import JobState, RedriveJob, forgotten, jobs_of, rival
from hookstream.core.redrive.marks import (
    MarkBook,
    Position,
    RedriveSource,
    RowProblem,
    outlived,
    read_ledger,
)
from hookstream.core.redrive.revive import Unredrivable
from hookstream.errors import Conflict, InputRefused
from hookstream.pipeline.ports import Clock

STEP_RECORDS = 500
STEP_BYTES = 8 * 1024 * 1024
"""What a step keeps in memory at most, unless one record alone is larger."""
EXAMPLES = 100
"""How many records that could not be redriven are named; all of them stay open."""
_REMOVED_AT_ONCE = 1_000


class DeadLetters(Protocol):
    """Reads one dead-letter topic and the jobs table."""

    def records(self, ends: Mapping[int, int]) -> Iterable[Record]:
        """Yield the topic's records up to, not including, these offsets, in order of offset."""

    def starts(self) -> Mapping[tuple[RedriveSource, int], int]:
        """Return the first offset that each partition of both topics still has."""

    def jobs(self) -> Mapping[str, bytes]:
        """Return the live rows of the jobs table as it stands now, open transactions included."""


class Steps(Protocol):
    """Writes a step, all of it or none, as the one process that may work on this job."""

    def write(self, records: Sequence[OutgoingRecord]) -> Sequence[int]:
        """Write records; return the positions of those too large, in which case none was written."""


@dataclass(slots=True)
class Result:
    """The result of a redrive."""

    job: RedriveJob
    unredrivable: int = 0
    """How many of the selected records could not be redriven."""
    examples: list[Unredrivable] = field(default_factory=list)
    """The first `EXAMPLES` of them."""

    def refuse(self, refused: Unredrivable) -> None:
        """Count a record that stays open."""
        self.unredrivable += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(refused)


@dataclass(slots=True, eq=False)
class Redriving:
    """One run of a job, from its beginning or from where an earlier run ended."""

    topics: Topics
    dead_letters: DeadLetters
    steps: Steps
    clock: Clock
    sleep: Callable[[float], None]
    """Waits so many seconds."""
    job: InitVar[RedriveJob]
    selects: Callable[[Record], bool]
    """Whether a record is brought back."""
    revive: Callable[[Record], OutgoingRecord | Unredrivable]
    """Returns the tier record that brings it back."""
    progress: Callable[[int], None]
    """Called with the number of records that each step redrove."""
    rate: float | None = None
    """Records a second at most; None: as fast as the broker takes them."""
    _result: Result = field(init=False)
    _book: MarkBook = field(init=False)
    _since: float = 0.0
    _sent: int = 0

    def __post_init__(self, job: RedriveJob) -> None:
        """Write nothing before `run`."""
        self._result = Result(job)
        self._book = MarkBook(job.id, job.source)

    def run(self) -> Result:
        """Redrive what was asked and say what could not be.

        Raises:
            Conflict: Another job is at work on the same topic.
            InputRefused: A row of the jobs table cannot be read: what is open is not known.
            ProducerFenced: Another process took this job over.
            DependencyUnavailable: The broker is away; the job can be taken up again.
        """
        self._begin()
        self._since = self.clock.monotonic()
        for step in self._steps():
            self._take(step)
        self._end()
        return self._result

    # 1.

    def _begin(self) -> None:
        job = self._result.job
        self.steps.write([self._row(job)])
        other = rival(self.dead_letters.jobs(), job)
        if other is None:
            return
        if not job.done:
            # Nothing of it exists beyond its row; a job taken up again keeps its claim instead.
            self.steps.write([self._row(job.ended(JobState.CANCELLED))])
        raise Conflict(
            f"{other.id} is already redriving {other.source} ({other.done} of {other.total} done)."
            f" Wait for it; where its process is gone, go on with --resume {other.id} or end it"
            f" with --cancel {other.id}"
        )

    # 2.

    def _steps(self) -> Iterable[list[tuple[Position, OutgoingRecord]]]:
        ledger, problems = read_ledger(self.dead_letters.jobs())
        refuse_unreadable(problems)
        job = self._result.job
        step: list[tuple[Position, OutgoingRecord]] = []
        size = 0
        most = self._step_records()
        for dead in self.dead_letters.records(job.ends):
            position = Position(dead.partition, dead.offset)
            if not ledger.is_open(job.source, position) or not self.selects(dead):
                continue
            revived = self.revive(dead)
            if isinstance(revived, Unredrivable):
                self._result.refuse(revived)
                continue
            step.append((position, revived))
            size += len(revived.value or b"")
            if len(step) >= most or size >= STEP_BYTES:
                yield step
                step, size = [], 0
        if step:
            yield step

    def _step_records(self) -> int:
        if self.rate is None:
            return STEP_RECORDS
        return max(1, min(STEP_RECORDS, int(self.rate)))

    # 3.

    def _take(self, step: list[tuple[Position, OutgoingRecord]]) -> None:
        if self._write(step):
            return
        # A broker refuses a whole batch for one record: only alone does each show what it is.
        for position, record in step:
            if not self._write([(position, record)]):
                why = f"{record.topic} refused it: it is too large for the topic"
                self._result.refuse(Unredrivable(position, why))

    def _write(self, step: Sequence[tuple[Position, OutgoingRecord]]) -> bool:
        """Write one step; False: something in it is too large and nothing was written."""
        self._pace()
        book = self._book.trial()
        marks = book.resolve(position for position, _ in step)
        job = self._result.job.progressed(len(step))
        jobs = self.topics.jobs
        refused = self.steps.write(
            [
                *(record for _, record in step),
                *(OutgoingRecord(jobs, mark.key.encode(), mark.encode()) for mark in marks),
                self._row(job),
            ]
        )
        if refused:
            return False
        self._book, self._result.job = book, job
        self._sent += len(step)
        self.progress(len(step))
        return True

    def _pace(self) -> None:
        """Wait until the rate has made up for what was sent; the first step goes at once."""
        if self.rate is None:
            return
        due = self._since + self._sent / self.rate
        wait = due - self.clock.monotonic()
        if wait > 0:
            self.sleep(wait)

    # 4.

    def _end(self) -> None:
        job = self._result.job = self._result.job.ended(JobState.DONE)
        self.steps.write([self._row(job)])
        rows = self.dead_letters.jobs()
        stale = outlived(rows, self.dead_letters.starts())
        stale += forgotten(rows, now=self.clock.now())
        topic = self.topics.jobs
        for first in range(0, len(stale), _REMOVED_AT_ONCE):
            keys = stale[first : first + _REMOVED_AT_ONCE]
            self.steps.write([OutgoingRecord(topic, key.encode(), None) for key in keys])

    def _row(self, job: RedriveJob) -> OutgoingRecord:
        return OutgoingRecord(self.topics.jobs, job.id.encode(), job.encode())


def cancel(steps: Steps, topics: Topics, job: RedriveJob) -> RedriveJob:
    """End a job whose process is gone: what it did stays done, the rest stays open."""
    ended = job.ended(JobState.CANCELLED)
    steps.write([OutgoingRecord(topics.jobs, job.id.encode(), ended.encode())])
    return ended


def find_job(rows: Mapping[str, bytes], job_id: str, source: RedriveSource) -> RedriveJob:
    """Return a job that can be taken up again or cancelled.

    Raises:
        InputRefused: There is none of that id over that topic, it ended, or cannot be read.
    """
    jobs, problems = jobs_of(rows)
    for problem in problems:
        if problem.key == job_id:
            raise InputRefused(f"the row of job {job_id} cannot be read: {problem.why}")
    for job in jobs:
        if job.id == job_id and job.source is source:
            if job.state is JobState.RUNNING:
                return job
            raise InputRefused(f"job {job_id} is {job.state}: there is nothing to take up again")
    running = ", ".join(job.id for job in jobs if job.state is JobState.RUNNING) or "none"
    raise InputRefused(f"there is no job {job_id} over {source}; running jobs: {running}")


def refuse_unreadable(problems: Sequence[RowProblem]) -> None:
    """Refuse to act while the ledger is not wholly known.

    Raises:
        InputRefused: There is a problem; a record that it resolves might be redriven a second time.
    """
    if problems:
        first = problems[0]
        raise InputRefused(
            f"the jobs table has {len(problems)} rows that cannot be read, so what is open is not"
            f" known; the first is {first.key!r}: {first.why}"
        )
