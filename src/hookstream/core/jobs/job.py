"""A job is long work in steps; its row in the jobs table has all that another process needs to continue.

What all jobs share is described here once. What a kind adds is opaque to it: `asked` never changes
after the job was created, `reached` is replaced by its steps.

Rows are format 1 and only ever get more fields: the release before reads a redrive's row and ignores
the fields that it does not know (and drops them, if it continues the job), and it ignores rows of
other kinds. A kind whose work it must not disturb while it does not know the kind has to keep it away
by something that it does read: see `JobKind` in `pipeline/jobs.py`.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple

from hookstream.core.jobs.row_problem import RowProblem, json_of, unreadable
from hookstream.core.model.instant import DAY, Millis, from_rfc3339, to_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.core.model.row_fields import (
    INSTANT,
    OBJECT,
    REMARK,
    TEXT,
    WHOLE,
    FieldKind,
    FieldUnreadable,
    RowFields,
    WrongType,
    optional,
    parsed,
)
from hookstream.errors import InputRefused

JOB_FORMAT = 1
REDRIVE = "redrive"
PURGE = "purge"
"""What `Job.kind` says of the kinds that the jobs table itself knows."""
KEPT: Millis = 90 * DAY
"""How long the row of an ended job is kept, counted from the request."""
LARGEST_ASKED = 192 * 1024
"""The most bytes of JSON in which a job is asked for: with what it reaches, notes and counts, its row
stays below 256 KB, and is written again with each step."""
MOST_NOTES = 20
"""A job's row keeps this many notes, the newest."""
LONGEST_TEXT = 300
"""The most characters of a note or reason."""

_ASKED_AT_TOP: Mapping[str, tuple[str, ...]] = {REDRIVE: ("topic", "selector", "ends")}
"""By kind: the keys of `asked` that its rows have among the shared fields, where earlier releases
read them; other kinds have an object `asked`."""
_MAY_BE_AT_TOP: Mapping[str, tuple[str, ...]] = {REDRIVE: ("topic_id",)}
"""By kind: further ones, which a row may lack. The release before drops them from a job that it continues."""


class JobState(StrEnum):
    """The state of a job.

    A crashed one stays `running`, without a holder, until an executor takes it over.
    """

    RUNNING = "running"
    """There is work left."""
    DONE = "done"
    """All was done that was asked."""
    INCOMPLETE = "incomplete"
    """It worked to its end, but something was missing (retention took it): `Job.reason`."""
    FAILED = "failed"
    """It ended before its end, for the reason in `Job.reason`; it can be resumed."""
    CANCELLED = "cancelled"
    """An operator ended it; what it did stays done."""

    @property
    def is_resumable(self) -> bool:
        """Whether a job of this state can be continued."""
        return self in (JobState.RUNNING, JobState.FAILED)


class Note(NamedTuple):
    """Something that changed while a job ran, for people."""

    at: Millis
    text: str


@dataclass(slots=True, frozen=True)
class Job:
    """One row of the jobs table; its key is the job's id."""

    id: str
    """1 to 249 characters without a slash, since it is part of keys and of a transactional id."""
    kind: str
    asked: JsonObject
    """What was asked, as its kind writes and reads it."""
    asked_at: Millis
    total: int = 0
    """How much there was to do when it was created; 0: not known."""
    done: int = 0
    """How much of it is done, in units of its kind (letters, events)."""
    state: JobState = JobState.RUNNING
    revision: int = 1
    """Grows by one with each row."""
    holder: str = ""
    """The executor that works on it; empty: none does."""
    held_until: Millis | None = None
    """By the brokers' clock: until then only the holder may write. In the past, nobody holds it. None:
    a release before leases wrote the row."""
    rate: float | None = None
    """How many a second at most; None: as fast as the brokers take them."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """What its kind counts besides, by a name such as `not_granted`."""
    reached: JsonObject = field(default_factory=dict)
    """From where it continues, as its kind writes and reads it."""
    notes: tuple[Note, ...] = ()
    """At most `MOST_NOTES`, oldest first."""
    reason: str = ""
    """Why it ended as it did; empty while it runs."""
    asked_by: str = ""
    """Who asked for it: a user of the command line, or a token and its request; empty: not known."""
    written_at: Millis = field(default=0, compare=False)
    """When the broker appended the row; not part of it. 0: not known."""

    def ended(self, state: JobState, reason: str = "") -> "Job":
        """Return the job in an end state, held by nobody."""
        return replace(
            self,
            state=state,
            reason=reason[:LONGEST_TEXT],
            holder="",
            revision=self.revision + 1,
        )

    def noted(self, at: Millis, text: str) -> "Job":
        """Return the job with a note, without the oldest one if there are too many."""
        notes = (*self.notes, Note(at, text[:LONGEST_TEXT]))
        return replace(self, notes=notes[-MOST_NOTES:])

    def encode(self) -> bytes:
        """Return the value of its row."""
        row = {"format": JOB_FORMAT, "revision": self.revision, "kind": self.kind}
        top = _ASKED_AT_TOP.get(self.kind)
        row |= {"asked": self.asked} if top is None else {key: self.asked[key] for key in top}
        row |= {
            key: self.asked[key] for key in _MAY_BE_AT_TOP.get(self.kind, ()) if key in self.asked
        }
        return json.dumps(row | _JOB.document(self), separators=(",", ":")).encode()


def first_row(job: Job) -> bytes:
    """Return the value of the row that creates a job.

    Raises:
        InputRefused: It has more than `LARGEST_ASKED` bytes.
    """
    row = job.encode()
    if len(row) > LARGEST_ASKED:
        raise InputRefused(
            f"what is asked of job {job.id} takes {len(row):,} bytes, and at most {LARGEST_ASKED:,} are"
            f" kept of a {job.kind}: ask for less, in several jobs"
        )
    return row


def _rate(found: object) -> float | None:
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise WrongType("is not a number")
    try:
        rate = float(found)
    except OverflowError:
        rate = math.inf
    if not (math.isfinite(rate) and rate > 0):
        raise WrongType("is not a positive number")
    return rate


def _counts(found: object) -> dict[str, int]:
    return {name: WHOLE.read(count) for name, count in OBJECT.read(found).items()}


def _notes(found: object) -> tuple[Note, ...]:
    # They are for people: what is wrong with one must not stop a job.
    notes = found if isinstance(found, list) else []
    read = (_note(each) for each in notes[-MOST_NOTES:])
    return tuple(note for note in read if note is not None)


def _note(found: object) -> Note | None:
    match found:
        case {"at": str(at), "text": str(text)}:
            try:
                return Note(from_rfc3339(at), text[:LONGEST_TEXT])
            except ValueError:
                return None
        case _:
            return None


def _noted(notes: tuple[Note, ...]) -> list[dict[str, str]]:
    return [{"at": to_rfc3339(note.at), "text": note.text} for note in notes]


_JOB = RowFields(
    asked_at=INSTANT,
    total=WHOLE,
    done=WHOLE,
    state=parsed(JobState),
    revision=WHOLE,
    holder=TEXT.sparse(""),
    held_until=optional(INSTANT).sparse(),
    rate=FieldKind(_rate).sparse(),
    counts=FieldKind(_counts, dict).sparse({}),
    reached=OBJECT.sparse({}),
    notes=FieldKind(_notes, _noted).sparse([]),
    reason=REMARK.sparse(""),
    asked_by=REMARK.sparse(""),
)


def read_job(key: str, value: bytes, written_at: Millis = 0) -> Job | RowProblem | None:
    """Read one row of the jobs table; None if it is not a job's own row but a mark.

    Jobs of kinds that this release does not know are read too.
    """
    if "/" in key:
        return None
    row = json_of(key, value)
    if isinstance(row, RowProblem):
        return row
    if not isinstance(row, dict):
        return RowProblem(key, "it is not a JSON object")
    if row.get("format") != JOB_FORMAT:
        return unreadable(key, f"format {row.get('format')} is not one that this release reads")
    try:
        kind = TEXT.read(row.get("kind"))
        top = _ASKED_AT_TOP.get(kind)
        asked = OBJECT.read(row.get("asked")) if top is None else {k: row[k] for k in top}
        asked |= {key: row[key] for key in _MAY_BE_AT_TOP.get(kind, ()) if key in row}
        return Job(id=key, kind=kind, asked=asked, written_at=written_at, **_JOB.values(row))
    except KeyError as missing:
        return unreadable(key, f"a field is missing or wrong: `{missing.args[0]}` is missing")
    except ValueError as why:
        return unreadable(key, f"a field is missing or wrong: `kind` or `asked` {why}")
    except FieldUnreadable as why:
        return unreadable(key, f"a field is missing or wrong: {why}")


def jobs_of(rows: Mapping[str, bytes]) -> tuple[list[Job], list[RowProblem]]:
    """Return the jobs of the jobs table, oldest first, and the rows of jobs that cannot be read."""
    found = [read_job(key, value) for key, value in rows.items()]
    jobs = [each for each in found if isinstance(each, Job)]
    jobs.sort(key=lambda job: (job.asked_at, job.id))
    return jobs, [each for each in found if isinstance(each, RowProblem)]


def forgotten(rows: Mapping[str, bytes], *, now: Millis) -> list[str]:
    """Return the keys of ended jobs that were requested more than `KEPT` ago."""
    return [
        job.id
        for job in jobs_of(rows)[0]
        if job.state is not JobState.RUNNING and job.asked_at < now - KEPT
    ]
