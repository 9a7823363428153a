"""The contract between an executor and a kind of job.

A kind reads, decides its next step, and writes nothing. `JobRun` (`pipeline/jobs.py`) does everything else for
every kind: claims, leases, transactions, rates, errors of the brokers, the end. To add a kind:

1. Describe the request, and the state that a continued job needs, as two JSON objects: `Job.asked` and
   `Job.reached`. Together they must stay below 256 KB.
2. Implement `JobKind` and `JobWork`. A `JobWork` may end at every await; the next one begins from the row.
3. Add the kind to `entry/admin/job_kinds.py`, and every executor can run it.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol

from hookstream.core.jobs.job import Job
from hookstream.core.jobs.lease import HELD_FOR
from hookstream.core.jobs.row_problem import RowProblem
from hookstream.core.jobs.step import JobStep, NextStep
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import OutgoingRecord
from hookstream.core.model.topics import Topics
from hookstream.errors import ConfigurationError
from hookstream.pipeline.ports import Clock


class JobWork(Protocol):
    """One executor's work on one job, from its row. It supplies steps and writes nothing.

    `next` is called repeatedly, and each answer is followed by exactly one of: `committed`, `refused`, another
    `next` (after a JobPause), or the end of the work, which may come at every await; a JobWait is followed by the
    end.
    """

    async def next(self, job: Job) -> NextStep:
        """Return the next step, a pause, or the end.

        It may take long, since the lease is renewed meanwhile. It may be cancelled: only a committed step counts,
        so it must not write. Reading belongs in threads (`Offload`).

        Args:
            job: The present row. Only the executor changes it, by steps.

        Raises:
            ConfigurationError: The job cannot be continued: it ends as FAILED, with this reason.
            DependencyUnavailable: The job is continued later, by another `JobWork`.
        """

    async def committed(self, step: JobStep) -> None:
        """Record that the last step is durable. It must not raise."""

    async def refused(self, step: JobStep, too_large: Sequence[int]) -> None:
        """Record that nothing of the last step was written, because records are too large for their topics.

        Args:
            step: The step.
            too_large: Positions in its records. A broker refuses a whole batch because of one record, so smaller
                ones may be among them: only a record that is refused alone is known to be too large.
        """


class JobKind(Protocol):
    """A kind of job.

    An older release ignores jobs of a kind that it does not know. If that release must not run other work at the
    same time (a redrive during a purge), the kind's first step must write a row that stops it: a mark of a newer
    format makes an older `redrive` refuse to start.
    """

    @property
    def name(self) -> str:
        """The value of `Job.kind`."""

    def open(self, job: Job) -> AbstractAsyncContextManager[JobWork]:
        """Return the work on a claimed job, from its row; it ends with the context.

        It must not need the memory of an earlier `JobWork` of the same job. Entering must be quick, since the lease
        is not renewed meanwhile: long work belongs in the first `next`. Entering and leaving may raise the
        exceptions of `JobWork.next`.
        """


class Written(NamedTuple):
    """The result of one transaction."""

    refused: Sequence[int]
    """Positions of records that are too large for their topics; if there are any, nothing was written."""
    appended_at: Millis | None
    """When the broker appended the last record, by its clock; None if nothing was written."""


class StepWriter(Protocol):
    """The only writer of a job. It is fenced when another one is opened."""

    async def write(self, records: Sequence[OutgoingRecord]) -> Written:
        """Write records in one transaction, all of them or none.

        Raises:
            ProducerFenced: Another process opened the job's writer; nothing was written.
            DependencyUnavailable: The end of the transaction is unknown. The writer must be closed.
        """

    async def close(self) -> None:
        """Release the writer, whatever its state; an open transaction is aborted. It does not raise."""


class JobTable(Protocol):
    """Reads rows of jobs, and the brokers' clock."""

    async def read(self, job_id: str) -> Job | RowProblem | None:
        """Return a job's present row, once every open transaction has ended; None: it has no row.

        Raises:
            DependencyUnavailable: The broker did not answer.
        """

    async def now(self) -> Millis:
        """Return the time by the brokers' clock, as one of them stamps a record.

        Raises:
            ConfigurationError: The jobs topic is not stamped by the brokers.
            DependencyUnavailable: The broker did not answer.
        """

    async def open_writer(self, job_id: str) -> StepWriter:
        """Open the writer of a job: any other one is fenced, and its open transaction is aborted.

        Raises:
            DependencyUnavailable: The broker did not answer.
        """


class RunEnd(Enum):
    """Why an executor's work on a job is over."""

    ENDED = "ended"
    """The job is in an end state."""
    STOPPED = "stopped"
    """The executor was asked to stop: the job is unfinished."""
    HELD = "held"
    """Another executor holds the job."""
    WAITS = "waits"
    """It is another job's turn: the job was handed back."""
    LOST = "lost"
    """The lease was over, or another process opened the writer: a new holder, or `jobs cancel`."""


@dataclass(slots=True, frozen=True)
class RunResult:
    """How an executor's work on a job ended."""

    why: RunEnd
    job: Job
    """Its newest known row."""
    error: ConfigurationError | None = None
    """The exception that made a job FAILED, if any."""
    behind: Job | None = None
    """The job whose turn it is, if this one waits."""


def nothing_shown(_: Job) -> None:
    """Show nothing."""


@dataclass(slots=True, frozen=True)
class Executor:
    """The settings and ports of an executor, for any kind of job."""

    name: str
    """Random, with host and process id for operators."""
    topics: Topics
    table: JobTable
    kinds: Mapping[str, JobKind]
    clock: Clock
    lease: Millis = HELD_FOR
    """How far ahead it sets the end of its leases, at most `HELD_FOR`."""
    patience: float | None = None
    """Seconds for which errors of the brokers are waited out before they are raised; None: without a limit."""
    waits: bool = True
    """Whether it continues a job that it handed back for another one's turn, when that job is over. False: its
    work ends with `RunEnd.WAITS`."""
    show: Callable[[Job], None] = nothing_shown
    """Called with the row after each step."""
    waiting: Callable[[Job, str], None] = lambda _job, _why: None
    """Called with each pause, and while it waits for a job that another executor holds."""
