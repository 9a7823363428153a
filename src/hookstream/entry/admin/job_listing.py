"""Lists the jobs of the table, with the meaning of their leases, without loading the executor."""

from collections.abc import Callable
from dataclasses import dataclass, field

from hookstream.adapters.kafka.tables.log import read_tables
from hookstream.adapters.system import SystemClock
from hookstream.core.jobs import lease, turns
from hookstream.core.jobs.job import Job, read_job
from hookstream.core.jobs.row_problem import RowProblem
from hookstream.core.model.instant import Millis
from hookstream.entry.cluster import reached
from hookstream.pipeline.job_kind import nothing_shown
from hookstream.settings import Settings


@dataclass(slots=True, frozen=True)
class Watch:
    """Callbacks that show a job while a command works on it; both are called on its event loop."""

    progress: Callable[[Job], None] = nothing_shown
    """Called with the job's row after each step."""
    waiting: Callable[[Job, str], None] = lambda _job, _why: None
    """Called with the reason whenever the job waits."""


@dataclass(slots=True, frozen=True)
class JobStatus:
    """A job, and what its lease means by this machine's clock: only for showing it."""

    job: Job
    is_held: bool
    is_stalled: bool
    waits: bool = False
    """Whether it waits for its turn: another job over its topic is at work, or was asked for before it."""
    waits_for: str | None = None
    """That job; None: it does not wait, or its reader may not see which job that is."""


@dataclass(slots=True)
class JobListing:
    """The jobs of the table, oldest first."""

    jobs: list[JobStatus] = field(default_factory=list)
    unreadable: list[RowProblem] = field(default_factory=list)


def list_jobs(settings: Settings) -> JobListing:
    """Return all jobs.

    Raises:
        DependencyUnavailable: The brokers cannot be reached.
    """
    table = settings.topics_names.jobs
    rows = read_tables(reached(settings), [table])[table]
    now = SystemClock().now()
    listing, jobs = JobListing(), list[Job]()
    for key, row in rows.items():
        match read_job(key, row.value or b"", row.timestamp):
            case Job() as job:
                jobs.append(job)
            case RowProblem() as problem:
                listing.unreadable.append(problem)
            case None:
                pass
    jobs.sort(key=turns.age)
    line = turns.JobLine(jobs)
    listing.jobs += (status_of(job, now, line) for job in jobs)
    return listing


def status_of(job: Job, now: Millis, line: turns.JobLine | None = None) -> JobStatus:
    """Return what a job's lease means at a time.

    Args:
        job: The job.
        now: The time.
        line: Of all jobs, for one of which it may wait; None: it does not.
    """
    other = None if line is None else line.ahead(job)
    return JobStatus(
        job,
        is_held=lease.is_held(job, now),
        is_stalled=turns.is_stalled(job, other, now),
        waits=other is not None,
        waits_for=None if other is None else other.id,
    )
