"""Shared by redrives and purges: they take turns at a dead-letter topic, and read it in a thread."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from hookstream.core.jobs.job import Job, JobState, jobs_of
from hookstream.core.jobs.row_problem import RowProblem
from hookstream.core.jobs.step import JobEnd, JobWait
from hookstream.core.jobs.turns import at_work_beside
from hookstream.core.model.counted import counted
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import Record
from hookstream.core.redrive.ledger import Ledger, read_ledger
from hookstream.core.redrive.marks import (
    RedriveSource,
    TopicIds,
    is_another,
    topic_id_of_marks,
)
from hookstream.core.redrive.rivals import removable
from hookstream.errors import DependencyUnavailable, InputRefused
from hookstream.pipeline.job_kind import JobWork
from hookstream.pipeline.ports import Offload

Request = TypeVar("Request")

CREATED_AGAIN = (
    "its topic was deleted and created again: the selected records that were left are gone, and none of the"
    " new topic was taken"
)
"""Why a job is incomplete."""
REMOVED_AT_ONCE = 1_000
"""The most rows that one step removes because they are no longer needed."""


class DeadLetters(Protocol):
    """Reads one dead-letter topic and the jobs table. Blocks; for one thread."""

    def records(self, ends: Mapping[int, int]) -> Iterable[Record]:
        """Yield the topic's records up to, not including, these offsets, in order of offset."""

    def starts(self) -> Mapping[tuple[RedriveSource, int], int]:
        """Return the log start offset of each partition of both topics."""

    def topic_ids(self) -> TopicIds:
        """Return the ids that both topics have now, which change if one is deleted and created again."""

    def jobs(self) -> Mapping[str, bytes]:
        """Return the live rows of the jobs table as it is now, including open transactions."""


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
    """Return a job's request.

    Raises:
        InputRefused: Its row has none that can be read.
    """
    if found is None or isinstance(found, RowProblem):
        why = "" if found is None else found.why
        raise InputRefused(f"the row of job {job.id} is not a {job.kind}'s: {why}")
    return found


@dataclass(slots=True, frozen=True)
class WorkedTopic:
    """The topic that an executor works on for a job, from the job's turn on."""

    dead_letters: DeadLetters
    source: RedriveSource
    topic_id: str
    """The topic's id when the job was requested, or else when it was first worked on; empty: not known."""
    ledger: Ledger
    """Which of its records were resolved when the work began."""

    def end_if_gone(self) -> JobEnd | None:
        """Return the end of the job if the topic was deleted and created again; None: it was not. Blocks.

        What was read before this call is of the topic then: only that may be written.

        Raises:
            DependencyUnavailable: It is not known, since the topic has no id now: it may be deleted.
        """
        if not self.topic_id:
            return None
        now = self.dead_letters.topic_ids().get(self.source, "")
        if is_another(self.topic_id, now):
            return JobEnd(JobState.INCOMPLETE, CREATED_AGAIN)
        if not now:
            raise DependencyUnavailable(
                f"the brokers have no id of the topic of {self.source} any more: was it deleted?"
            )
        return None


def begun(
    dead_letters: DeadLetters, job: Job, source: RedriveSource, topic_id: str
) -> WorkedTopic | JobWait | JobEnd:
    """Return the topic that an executor works on, if it is the job's turn and its topic is still there. Blocks.

    Args:
        dead_letters: The reader of the topic and the jobs table.
        job: The job's row after the claim of the calling executor, or a later one.
        source: The topic.
        topic_id: The topic's id when the job was requested; empty: not known, so it is that of the job's
            marks, or else the present one.

    Raises:
        DependencyUnavailable: The table was not read up to that row: the claims before it are not known.
            Or the brokers do not say which id the topic has.
        InputRefused: A row of the jobs table cannot be read: what is open is not known.
    """
    # Before the records are read: of a topic that is created again meanwhile, nothing counts as resolved.
    topic_ids = dead_letters.topic_ids()
    rows = dead_letters.jobs()
    jobs, _ = jobs_of(rows)
    if not any(each.id == job.id and each.revision >= job.revision for each in jobs):
        raise DependencyUnavailable(
            f"the jobs table was read without revision {job.revision} of {job.id}, which is in it"
        )
    other = at_work_beside(jobs, job)
    if other is not None:
        return JobWait(other)
    topic_id = topic_id or topic_id_of_marks(rows, job.id) or topic_ids.get(source, "")
    if is_another(topic_id, topic_ids.get(source, "")):
        return JobEnd(JobState.INCOMPLETE, CREATED_AGAIN)
    ledger, problems = read_ledger(rows, {**topic_ids, source: topic_id})
    refuse_unreadable(problems)
    return WorkedTopic(dead_letters, source, topic_id, ledger)


def removable_rows(dead_letters: DeadLetters, now: Millis) -> list[str]:
    """Return the keys of rows of the jobs table that are no longer needed. Blocks."""
    return removable(dead_letters.jobs(), dead_letters.starts(), dead_letters.topic_ids(), now)


def refuse_unreadable(problems: Sequence[RowProblem]) -> None:
    """Refuse to act while the ledger is not fully known.

    Raises:
        InputRefused: There is a problem; a record that it resolves might be redriven a second time.
    """
    if problems:
        first = problems[0]
        raise InputRefused(
            f"the jobs table has {counted(len(problems), 'unreadable row')}, so what is open is not"
            f" known; the first is {first.key!r}: {first.why}"
        )
