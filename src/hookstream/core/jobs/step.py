"""What the kind of a job answers when it is asked for its next step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from hookstream.core.jobs.job import Job, JobState
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import OutgoingRecord

STEP_RECORDS = 500
"""How many records of its subject (letters, events) a step has at most."""
STEP_BYTES = 8 * 1024 * 1024
"""What a step keeps in memory at most, unless one record alone is larger."""


@dataclass(slots=True, frozen=True)
class JobStep:
    """Records and progress that become durable together, in one transaction with the job's row."""

    records: Sequence[OutgoingRecord] = ()
    """Tier records, marks, whatever must be written with the progress that they make."""
    done: int = 0
    """How much `Job.done` grows; it is also what counts against the job's rate."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """How much each of `Job.counts` grows."""
    reached: JsonObject | None = None
    """The new `Job.reached`; None: as before."""
    total: int | None = None
    """The new `Job.total`; None: as before."""
    note: str = ""
    """A new note in the job's row, for people; empty: none."""


@dataclass(slots=True, frozen=True)
class JobPause:
    """Nothing can be done now: ask again later. The lease is renewed meanwhile."""

    seconds: float
    """How long, above 0; at most a minute, or a change would be seen late."""
    why: str
    """In a few words, for the log and for `jobs show`: `the window is full`."""


@dataclass(slots=True, frozen=True)
class JobWait:
    """It is another job's turn: this one is handed back until that is at work no more."""

    behind: Job
    """The other job."""
    records: Sequence[OutgoingRecord] = ()
    """Records that are written with the row that hands the job back."""


@dataclass(slots=True, frozen=True)
class JobEnd:
    """There is nothing left to do, or it cannot be done."""

    state: JobState
    """Any but RUNNING. FAILED is resumable, all others are final."""
    reason: str = ""
    """Why, for people; needed for any state but DONE."""
    records: Sequence[OutgoingRecord] = ()
    """Records that are written with the job's last row."""


NextStep: TypeAlias = JobStep | JobPause | JobWait | JobEnd


def bounded_by_rate(rate: float | None) -> int:
    """Return how many records a step may have: no more than `rate` allows in a second."""
    return STEP_RECORDS if rate is None else max(1, min(STEP_RECORDS, int(rate)))
