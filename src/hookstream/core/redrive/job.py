"""A redrive job works through a fixed range of a dead-letter topic, and can be continued.

What was asked has the selector, the end offsets, and the id of the topic whose offsets they are. The
offsets are fixed when the job is created; otherwise a delivery that is redriven and given up again would
feed the same job forever. What is left follows from the marks, so a continued redrive needs nothing else.
A topic that was deleted and created again has other records at these offsets, which the job never takes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from hookstream.core.jobs.job import REDRIVE, Job, jobs_of
from hookstream.core.jobs.row_problem import RowProblem, unreadable
from hookstream.core.model.instant import Millis
from hookstream.core.model.json import JsonObject
from hookstream.core.model.row_fields import (
    OBJECT,
    WHOLE,
    FieldKind,
    FieldUnreadable,
    RowFields,
    WrongType,
    parsed,
)
from hookstream.core.redrive.marks import MAX_TOPIC_ID, RedriveSource, is_topic_id

UNREDRIVABLE = "unredrivable"
"""What `Job.counts` calls the selected records that could not be redriven."""

LEFT_OUT = "left_out"
"""What it calls those that the tables prevented when their turn came, as one of a disabled subscription."""


class TopicEnds(NamedTuple):
    """The records that a topic had at some instant: those before the end of each partition."""

    ends: Mapping[int, int]
    """The end offset by partition."""
    topic_id: str = ""
    """The topic's id then; empty: it is not known, or the brokers have none."""


@dataclass(slots=True, frozen=True)
class RedriveRequest:
    """What `Job.asked` of a redrive says."""

    source: RedriveSource
    selector: JsonObject
    """The requested selection, as the command writes and reads it."""
    ends: Mapping[int, int]
    """The end offset of the job by partition: the log end when it was requested."""
    topic_id: str = ""
    """The id of the topic then; empty: not known, as in jobs of earlier releases."""

    def job(self, job_id: str, asked_at: Millis, total: int, rate: float | None = None) -> Job:
        """Return a new job for this request.

        Args:
            job_id: Its id.
            asked_at: Now.
            total: How many records are selected.
            rate: Records a second at most; None: as fast as the brokers take them.
        """
        asked = _REQUEST.document(self)
        return Job(job_id, REDRIVE, asked, asked_at, total=total, rate=rate)


def _ends(found: object) -> dict[int, int]:
    ends = OBJECT.read(found)
    return {int(partition): WHOLE.read(end) for partition, end in ends.items()}


ENDS: Final = FieldKind(
    _ends, lambda ends: {str(partition): end for partition, end in ends.items()}
)
"""Offsets by partition, as fields of a job's request."""


def _topic_id(found: object) -> object:
    if not is_topic_id(found):
        raise WrongType(f"is no text of at most {MAX_TOPIC_ID} characters")
    return found


TOPIC_ID: Final = FieldKind(_topic_id).sparse("")
"""The id of a topic, as a field of a job's request."""

_REQUEST = RowFields(
    topic=parsed(RedriveSource).into("source"),
    selector=OBJECT,
    ends=ENDS,
    topic_id=TOPIC_ID,
)


def request_of(job: Job) -> RedriveRequest | RowProblem | None:
    """Return what was asked of a redrive; None if the job is of another kind."""
    if job.kind != REDRIVE:
        return None
    try:
        return RedriveRequest(**_REQUEST.values(job.asked))
    except FieldUnreadable as why:
        return unreadable(job.id, f"a field is missing or wrong: {why}")


def redrives_of(
    rows: Mapping[str, bytes],
) -> tuple[list[tuple[Job, RedriveRequest]], list[RowProblem]]:
    """Return the redrives of the jobs table, oldest first, and the rows of jobs that cannot be read."""
    jobs, problems = jobs_of(rows)
    redrives: list[tuple[Job, RedriveRequest]] = []
    for job in jobs:
        match request_of(job):
            case RedriveRequest() as request:
                redrives.append((job, request))
            case RowProblem() as problem:
                problems.append(problem)
            case None:
                pass
    return redrives, problems
