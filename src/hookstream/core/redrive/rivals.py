"""Of the jobs over one dead-letter topic only one may work, whether it redrives or purges.

A command looks for rivals before it writes its job's row, and is refused then. The job looks again once
its row is there, so of two that start at the same time at least one sees the other and withdraws.
"""

from collections.abc import Mapping

from hookstream.core.jobs.job import REDRIVE, Job, JobState, forgotten, jobs_of
from hookstream.core.model.instant import Millis
from hookstream.core.redrive.marks import RedriveSource, barrier_of, outlived
from hookstream.core.redrive.purge import PURGE
from hookstream.errors import Conflict

_DOES = {REDRIVE: "redriving", PURGE: "purging"}


def rival(rows: Mapping[str, bytes], job_id: str, source: RedriveSource) -> Job | None:
    """Return another running job that redrives or purges records of the same topic.

    Args:
        rows: The jobs table.
        job_id: The job that asks.
        source: Its topic.
    """
    for other in jobs_of(rows)[0]:
        if (
            other.id != job_id
            and other.kind in _DOES
            and other.asked.get("topic") == source.value
            and other.state is JobState.RUNNING
        ):
            return other
    return None


def refuse_rival(rows: Mapping[str, bytes], source: RedriveSource, job_id: str = "") -> None:
    """Refuse a job that is to begin, or go on, while another works on the same topic.

    Args:
        rows: The jobs table.
        source: The topic.
        job_id: The job, if it exists.

    Raises:
        Conflict: There is such a job; the text says what can be done.
    """
    other = rival(rows, job_id, source)
    if other is not None:
        raise Conflict(rival_words(other, source))


def withdrawal(job_id: str, other: Job, source: RedriveSource) -> str:
    """Return why a job withdraws that was begun though it has a rival; its row keeps the text."""
    return (
        f"it withdrew: {other.id} is {_DOES[other.kind]} {source} too, and was not running yet when this"
        f" one was asked for, or went on. Once that has ended: hookstream jobs resume {job_id}"
    )


def rival_words(other: Job, source: RedriveSource) -> str:
    """Return what a rival does, and what can be done about it."""
    return (
        f"{other.id} is already {_DOES[other.kind]} {source} ({other.done} of {other.total} done)."
        f" Wait for it; if nothing works on it, continue it: hookstream jobs resume {other.id}, or"
        f" end it: hookstream jobs cancel {other.id}"
    )


def removable(
    rows: Mapping[str, bytes], starts: Mapping[tuple[RedriveSource, int], int], now: Millis
) -> list[str]:
    """Return the keys of rows that are no longer needed: marks, ended jobs, barriers of ended purges.

    Args:
        rows: The jobs table.
        starts: The log start offset of each partition.
        now: The present.
    """
    jobs, problems = jobs_of(rows)
    # A purge that failed may be continued, and one that cannot be read may be running.
    needed = {job.id for job in jobs if job.state.is_resumable} | {each.key for each in problems}
    barriers = [
        key for key in rows if (job_id := barrier_of(key)) is not None and job_id not in needed
    ]
    return outlived(rows, starts) + forgotten(rows, now=now) + barriers
