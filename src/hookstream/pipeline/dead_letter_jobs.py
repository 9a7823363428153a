"""What redrives and purges share: they read one dead-letter topic, in a thread, and no other job does so."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar

from hookstream.core.jobs.job import Job
from hookstream.core.jobs.row_problem import RowProblem
from hookstream.core.model.counted import counted
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import Record
from hookstream.core.redrive.ledger import Ledger, read_ledger
from hookstream.core.redrive.marks import RedriveSource
from hookstream.core.redrive.rivals import removable, rival, withdrawal
from hookstream.errors import Conflict, InputRefused
from hookstream.pipeline.job_kind import JobWork
from hookstream.pipeline.ports import Offload

Request = TypeVar("Request")

REMOVED_AT_ONCE = 1_000
"""How many rows that are not needed any more one step removes."""


class DeadLetters(Protocol):
    """Reads one dead-letter topic and the jobs table. Blocks; for one thread."""

    def records(self, ends: Mapping[int, int]) -> Iterable[Record]:
        """Yield the topic's records up to, not including, these offsets, in order of offset."""

    def starts(self) -> Mapping[tuple[RedriveSource, int], int]:
        """Return the first offset that each partition of both topics still has."""

    def jobs(self) -> Mapping[str, bytes]:
        """Return the live rows of the jobs table as it stands now, open transactions included."""


class ClosingOffload(Offload, Protocol):
    """A thread that ends with its job's work."""

    def close(self) -> None:
        """Start no further computation."""


class ThreadedWork(JobWork, Protocol):
    """Work that reads in a thread."""

    def end(self) -> None:
        """Let the thread end its reading at the next record."""

    def close(self) -> None:
        """Close the reader, in the thread."""


@asynccontextmanager
async def worked_on(work: ThreadedWork, offload: ClosingOffload) -> AsyncIterator[JobWork]:
    """Keep a work, its reader and its thread until the block ends, however it ends."""
    try:
        yield work
    finally:
        work.end()
        try:
            await offload.run(work.close)
        finally:
            offload.close()


def required_request(found: Request | RowProblem | None, job: Job) -> Request:
    """Return what was asked of a job.

    Raises:
        InputRefused: Its row does not say so.
    """
    if found is None or isinstance(found, RowProblem):
        why = "" if found is None else found.why
        raise InputRefused(f"the row of job {job.id} is not a {job.kind}'s: {why}")
    return found


def ledger_of(dead_letters: DeadLetters, job_id: str, source: RedriveSource) -> Ledger:
    """Return which dead letters are resolved, for the one job that works on their topic. Blocks.

    Raises:
        Conflict: Another job does so.
        InputRefused: A row of the jobs table cannot be read: what is open is not known.
    """
    rows = dead_letters.jobs()
    other = rival(rows, job_id, source)
    if other is not None:
        raise Conflict(withdrawal(job_id, other, source))
    ledger, problems = read_ledger(rows)
    refuse_unreadable(problems)
    return ledger


def removable_rows(dead_letters: DeadLetters, now: Millis) -> list[str]:
    """Return the keys of rows of the jobs table that nothing needs any more. Blocks."""
    return removable(dead_letters.jobs(), dead_letters.starts(), now)


def refuse_unreadable(problems: Sequence[RowProblem]) -> None:
    """Refuse to act while the ledger is not wholly known.

    Raises:
        InputRefused: There is a problem; a record that it resolves might be redriven a second time.
    """
    if problems:
        first = problems[0]
        raise InputRefused(
            f"the jobs table has {counted(len(problems), 'unreadable row')}, so what is open is not"
            f" known; the first is {first.key!r}: {first.why}"
        )
