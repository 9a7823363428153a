"""A command on Kafka begins no redrive or purge while another is running; rows that are not needed go.

It looks before it writes its job's row. Jobs that begin all the same take turns: `core/jobs/turns.py`.
"""

from collections.abc import Mapping

from hookstream.core.jobs.job import Job, JobState, forgotten, jobs_of
from hookstream.core.jobs.turns import DOES, topic_of
from hookstream.core.model.instant import Millis
from hookstream.core.redrive.marks import RedriveSource, TopicIds, barrier_of, outlived
from hookstream.errors import Conflict


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
            and topic_of(other) == source.value
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


def rival_words(other: Job, source: RedriveSource) -> str:
    """Return what a rival does, and what can be done about it."""
    of = f" of {other.total}" if other.total else ""
    return (
        f"{other.id} is already {DOES[other.kind]} {source} ({other.done}{of} done)."
        f" Wait for it; if nothing works on it, continue it: hookstream jobs resume {other.id}, or"
        f" end it: hookstream jobs cancel {other.id}"
    )


def removable(
    rows: Mapping[str, bytes],
    starts: Mapping[tuple[RedriveSource, int], int],
    topic_ids: TopicIds,
    now: Millis,
) -> list[str]:
    """Return the keys of rows that are no longer needed: marks, ended jobs, barriers of ended purges.

    Args:
        rows: The jobs table.
        starts: The log start offset of each partition.
        topic_ids: The ids that both topics have now.
        now: The present.
    """
    jobs, problems = jobs_of(rows)
    # A job that failed may be continued, and one that cannot be read may be running.
    needed = {job.id for job in jobs if job.state.is_resumable} | {each.key for each in problems}
    barriers = [
        key for key in rows if (job_id := barrier_of(key)) is not None and job_id not in needed
    ]
    # A mark that grows keeps its key: removed after it grew, what it resolved meanwhile would be open again.
    ended = {key: value for key, value in rows.items() if key.partition("/")[0] not in needed}
    return outlived(ended, starts, topic_ids) + forgotten(rows, now=now) + barriers
