"""A redrive job works through a fixed range of a dead-letter topic, and can be resumed.

Its row in the jobs table has what another process needs to resume it: the selector, the end offsets,
and how much is done. The offsets are fixed when the job is created; otherwise a delivery that is
redriven and given up again would feed the same job forever.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from hookstream.core.model.instant import DAY, Millis
from hookstream.core.model.json import JsonObject
from hookstream.core.model.row_fields import (
    INSTANT,
    OBJECT,
    WHOLE,
    FieldKind,
    FieldUnreadable,
    RowFields,
    parsed,
)
from hookstream.core.redrive.marks import RedriveSource, RowProblem, json_of, unreadable

JOB_FORMAT = 1
KIND = "redrive"
KEPT: Millis = 90 * DAY
"""How long the row of an ended job is kept."""


class JobState(StrEnum):
    """The state of a job. A crashed one stays `running` until it is resumed or cancelled."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(slots=True, frozen=True)
class RedriveJob:
    """One row of the jobs table; its key is the job's id."""

    id: str
    source: RedriveSource
    selector: JsonObject
    """The requested selection, as the command writes and reads it."""
    asked_at: Millis
    ends: Mapping[int, int] = field(default_factory=dict)
    """The end offset of the job by partition: the log end when it was requested."""
    total: int = 0
    """Records selected when it was created."""
    done: int = 0
    """Records redriven so far."""
    state: JobState = JobState.RUNNING
    revision: int = 1

    def progressed(self, records: int) -> "RedriveJob":
        """Return the job after this many more records were redriven."""
        return replace(self, done=self.done + records, revision=self.revision + 1)

    def ended(self, state: JobState) -> "RedriveJob":
        """Return the job in its final state."""
        return replace(self, state=state, revision=self.revision + 1)

    def encode(self) -> bytes:
        """Return the value of its row."""
        row = {"format": JOB_FORMAT, "revision": self.revision, "kind": KIND}
        return json.dumps(row | _JOB.document(self), separators=(",", ":")).encode()


def _ends(found: object) -> dict[int, int]:
    ends = OBJECT.read(found)
    return {int(partition): WHOLE.read(end) for partition, end in ends.items()}


_JOB = RowFields(
    topic=parsed(RedriveSource).into("source"),
    selector=OBJECT,
    asked_at=INSTANT,
    ends=FieldKind(_ends, dict),
    total=WHOLE,
    done=WHOLE,
    state=parsed(JobState),
    revision=WHOLE,
)


def read_job(key: str, value: bytes) -> RedriveJob | RowProblem | None:
    """Read one row of the jobs table; None if it is not a redrive's own row (a mark, another kind)."""
    if "/" in key:
        return None
    row = json_of(key, value)
    if isinstance(row, RowProblem):
        return row
    if not isinstance(row, dict):
        return RowProblem(key, "it is not a JSON object")
    if row.get("kind") != KIND:
        return None
    if row.get("format") != JOB_FORMAT:
        return unreadable(key, f"format {row.get('format')} is not one that this release reads")
    try:
        return RedriveJob(id=key, **_JOB.values(row))
    except FieldUnreadable as why:
        return unreadable(key, f"a field is missing or wrong: {why}")


def jobs_of(rows: Mapping[str, bytes]) -> tuple[list[RedriveJob], list[RowProblem]]:
    """Return the redrives of the jobs table, oldest first, and the rows that cannot be read."""
    found = [read_job(key, value) for key, value in rows.items()]
    jobs = [each for each in found if isinstance(each, RedriveJob)]
    jobs.sort(key=lambda job: (job.asked_at, job.id))
    return jobs, [each for each in found if isinstance(each, RowProblem)]


def rival(rows: Mapping[str, bytes], job: RedriveJob) -> RedriveJob | None:
    """Return another running job over the same topic: two of them could redrive one record twice.

    Each job first writes its own row and then looks for rivals, so of two that start at the same
    time at least one sees the other and withdraws.
    """
    for other in jobs_of(rows)[0]:
        if other.id != job.id and other.source is job.source and other.state is JobState.RUNNING:
            return other
    return None


def forgotten(rows: Mapping[str, bytes], *, now: Millis) -> list[str]:
    """Return the keys of ended jobs that were requested more than `KEPT` ago."""
    return [
        job.id
        for job in jobs_of(rows)[0]
        if job.state is not JobState.RUNNING and job.asked_at < now - KEPT
    ]
