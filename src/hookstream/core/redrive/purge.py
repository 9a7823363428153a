"""A purge resolves dead letters that nobody wants delivered any more; it deletes nothing from the log.

A delivery whose dead letter was purged stays dead-lettered; the marks say who purged it, and why. While
a purge runs, nothing may redrive its topic, since a letter would be redriven and purged. Releases
without purges do not know the kind; a barrier among the rows of the jobs table keeps them away.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from hookstream.core.jobs.job import PURGE, Job
from hookstream.core.jobs.row_problem import RowProblem, unreadable
from hookstream.core.model.instant import Millis
from hookstream.core.model.json import JsonObject
from hookstream.core.model.row_fields import (
    OBJECT,
    TEXT,
    FieldUnreadable,
    RowFields,
    parsed,
)
from hookstream.core.redrive.job import ENDS, TOPIC_ID
from hookstream.core.redrive.marks import MAX_BY, MAX_WHY, Purged, RedriveSource
from hookstream.errors import InputRefused


@dataclass(slots=True, frozen=True)
class PurgeRequest:
    """What `Job.asked` of a purge says."""

    source: RedriveSource
    selector: JsonObject
    """The requested selection, as the command writes and reads it."""
    ends: Mapping[int, int]
    """The end offset of the job by partition: nothing at or after it is purged."""
    by: str
    """Who purges: 1 to `MAX_BY` characters."""
    why: str
    """1 to `MAX_WHY` characters, on one line."""
    topic_id: str = ""
    """The id of the topic whose offsets `ends` has; empty: not known, as in jobs of earlier releases."""

    def job(self, job_id: str, asked_at: Millis, total: int) -> Job:
        """Return a new job for this request.

        Args:
            job_id: Its id.
            asked_at: Now.
            total: How many records are selected.
        """
        return Job(job_id, PURGE, _REQUEST.document(self), asked_at, total=total)

    def purged(self, asked_at: Millis) -> Purged:
        """Return what the marks of the job say."""
        return Purged(self.by[:MAX_BY], self.why[:MAX_WHY], asked_at)


def purge_reason(text: str) -> str:
    """Return the reason of a purge as it is kept: without blanks around it.

    Raises:
        InputRefused: It is empty, too long or has several lines.
    """
    reason = text.strip()
    if not reason:
        raise InputRefused("the reason of a purge is empty: say why nobody wants these delivered")
    if len(reason) > MAX_WHY or not reason.isprintable():
        raise InputRefused(
            f"the reason of a purge has at most {MAX_WHY} characters on one line: it has"
            f" {len(reason):,}"
            + ("" if reason.isprintable() else ", and characters that cannot be printed")
        )
    return reason


_REQUEST = RowFields(
    topic=parsed(RedriveSource).into("source"),
    selector=OBJECT,
    ends=ENDS,
    by=TEXT,
    why=TEXT,
    topic_id=TOPIC_ID,
)


def purge_of(job: Job) -> PurgeRequest | RowProblem | None:
    """Return what was asked of a purge; None if the job is of another kind."""
    if job.kind != PURGE:
        return None
    try:
        return PurgeRequest(**_REQUEST.values(job.asked))
    except FieldUnreadable as why:
        return unreadable(job.id, f"a field is missing or wrong: {why}")
