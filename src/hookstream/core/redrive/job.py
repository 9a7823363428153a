"""A redrive job processes a fixed range of letters and can be resumed after a crash.

Its row in the jobs table has all that another process needs to resume it: the selector, the end
offsets, and the progress. The end offsets are fixed when the job is requested; otherwise a letter
that is redriven and dead-lettered again would feed the same job forever.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from hookstream.core.model.instant import DAY, Millis, from_rfc3339, to_rfc3339
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.redrive.marks import Shelf

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
    shelf: Shelf
    selector: JsonObject
    """The requested selection, as the command writes and reads it."""
    asked_at: Millis
    ends: Mapping[int, int] = field(default_factory=dict)
    """The end offset of the job by partition: the log end when it was requested."""
    total: int = 0
    """Letters selected when it was requested."""
    done: int = 0
    """Letters redriven so far."""
    state: JobState = JobState.RUNNING
    revision: int = 1

    def progressed(self, letters: int) -> "RedriveJob":
        """Return the job after `letters` more were redriven."""
        return replace(self, done=self.done + letters, revision=self.revision + 1)

    def ended(self, state: JobState) -> "RedriveJob":
        """Return the job in its final state."""
        return replace(self, state=state, revision=self.revision + 1)

    def encode(self) -> bytes:
        """Return the value of its row."""
        ends: JsonObject = {str(partition): end for partition, end in self.ends.items()}
        row: JsonObject = {
            "format": JOB_FORMAT,
            "revision": self.revision,
            "kind": KIND,
            "topic": self.shelf.value,
            "selector": self.selector,
            "asked_at": to_rfc3339(self.asked_at),
            "ends": ends,
            "total": self.total,
            "done": self.done,
            "state": self.state.value,
        }
        return json.dumps(row, separators=(",", ":")).encode()


_LONGEST = 300
"""The longest description of a problem with a row, in characters."""


@dataclass(slots=True, frozen=True)
class JobProblem:
    """A job's row that cannot be read."""

    id: str
    why: str


def read_job(key: str, value: bytes) -> RedriveJob | JobProblem | None:
    """Read one row of the jobs table; None if it is not a redrive's own row (a mark, another kind)."""
    if "/" in key:
        return None
    try:
        row: Json = json.loads(value)
    except (ValueError, RecursionError) as problem:
        return JobProblem(key, f"it is not JSON: {problem}"[:_LONGEST])
    if not isinstance(row, dict):
        return JobProblem(key, "it is not a JSON object")
    if row.get("kind") != KIND:
        return None
    if row.get("format") != JOB_FORMAT:
        why = f"format {row.get('format')} is not one that this release reads"
        return JobProblem(key, why[:_LONGEST])
    try:
        return _job(key, row)
    except (KeyError, TypeError, ValueError, OverflowError) as problem:
        return JobProblem(key, f"a field is missing or wrong: {problem}"[:_LONGEST])


def _job(key: str, row: JsonObject) -> RedriveJob:
    selector, ends = row["selector"], row["ends"]
    if not isinstance(selector, dict) or not isinstance(ends, dict):
        raise TypeError("selector and ends are objects")
    return RedriveJob(
        id=key,
        shelf=Shelf(str(row["topic"])),
        selector=selector,
        asked_at=from_rfc3339(str(row["asked_at"])),
        ends={int(partition): _whole(end) for partition, end in ends.items()},
        total=_whole(row["total"]),
        done=_whole(row["done"]),
        state=JobState(str(row["state"])),
        revision=_whole(row["revision"]),
    )


def _whole(value: Json) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r} is not a whole number")
    return value


def jobs_of(rows: Mapping[str, bytes]) -> tuple[list[RedriveJob], list[JobProblem]]:
    """Return the redrives of the jobs table, oldest first, and the rows that cannot be read."""
    jobs: list[RedriveJob] = []
    problems: list[JobProblem] = []
    for key, value in rows.items():
        match read_job(key, value):
            case RedriveJob() as job:
                jobs.append(job)
            case JobProblem() as problem:
                problems.append(problem)
            case None:
                pass
    return sorted(jobs, key=lambda job: (job.asked_at, job.id)), problems


def rival(rows: Mapping[str, bytes], job: RedriveJob) -> RedriveJob | None:
    """Return another running job on the same topic: two jobs could redrive a letter twice.

    Each job first writes its own row and then looks for rivals, so of two that start at the same
    time at least one sees the other and withdraws.
    """
    for other in jobs_of(rows)[0]:
        if other.id != job.id and other.shelf is job.shelf and other.state is JobState.RUNNING:
            return other
    return None


def forgotten(rows: Mapping[str, bytes], *, now: Millis) -> list[str]:
    """Return the keys of ended jobs that were requested more than `KEPT` ago."""
    return [
        job.id
        for job in jobs_of(rows)[0]
        if job.state is not JobState.RUNNING and job.asked_at < now - KEPT
    ]
