"""A redrive job works through a fixed range of a dead-letter topic, and can be continued.

What was asked has the selector and the end offsets. The offsets are fixed when the job is created;
otherwise a delivery that is redriven and given up again would feed the same job forever. What is left
follows from the marks, so a continued redrive needs nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

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
    parsed,
)
from hookstream.core.redrive.marks import RedriveSource

UNREDRIVABLE = "unredrivable"
"""What `Job.counts` calls the selected records that could not be redriven."""

LEFT_OUT = "left_out"
"""What it calls those that the tables prevented when their turn came, as one of a disabled subscription."""


@dataclass(slots=True, frozen=True)
class RedriveRequest:
    """What `Job.asked` of a redrive says."""

    source: RedriveSource
    selector: JsonObject
    """The requested selection, as the command writes and reads it."""
    ends: Mapping[int, int]
    """The end offset of the job by partition: the log end when it was requested."""

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

_REQUEST = RowFields(
    topic=parsed(RedriveSource).into("source"),
    selector=OBJECT,
    ends=ENDS,
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
