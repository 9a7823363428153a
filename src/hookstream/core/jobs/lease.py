"""A job has one holder by lease: who may open its writer, until when, and when it has had no holder for long.

Leases make executors take turns; they do not make steps exclusive. What does is the job's
transactional id: opening the writer fences the holder before, and a fenced holder's transaction is
aborted whole. So a clock that is wrong costs a change of holder, never a step that is written twice.

All instants are by the brokers' clock.
"""

from dataclasses import replace

from hookstream.core.jobs.job import Job, JobState
from hookstream.core.model.instant import MINUTE, SECOND, Millis

HELD_FOR: Millis = 30 * SECOND
"""How far ahead a holder sets the end of its lease, with each row that it writes; at most this."""
STALLED_AFTER: Millis = MINUTE
"""A running job without a holder for this long is stalled, unless it waits for its turn."""
UNCHANGED_FOR = 60.0
"""Seconds by an executor's own clock: a holder that has not written for so long is dead, or its lease
is over by its own clock. It holds where the brokers' clock was set back, and `held_until` is hours
ahead."""


def renew_every(hold: Millis) -> float:
    """Return the seconds after which a holder writes its row, if no step did: a third of its lease."""
    return hold / 3000


def is_held(job: Job, now: Millis) -> bool:
    """Return whether somebody may be working on a job: only the holder may write then."""
    if job.state is not JobState.RUNNING:
        return False
    return now < _lease_end(job)


def may_claim(job: Job, executor: str, now: Millis, unchanged_for: float = 0.0) -> bool:
    """Return whether an executor may open the writer of a job, which fences every other.

    Args:
        job: The newest row that it knows.
        executor: Its name. A holder may open another writer of its own while it has not been fenced.
        now: By the brokers' clock, rather earlier than later.
        unchanged_for: Seconds, by the executor's own clock, for which it has known this revision.
    """
    if job.state is not JobState.RUNNING:
        return False
    mine = bool(executor) and job.holder == executor
    return mine or not is_held(job, now) or unchanged_for >= UNCHANGED_FOR


def is_left(job: Job) -> bool:
    """Return whether a job's lease says nothing of its holder: a release before leases wrote its row.

    Executors take such a job only on an operator's request (`jobs resume`): its process may be alive,
    or dead for a month, and its rate is not known.
    """
    return job.held_until is None


def held(job: Job, executor: str, now: Millis, hold: Millis = HELD_FOR) -> Job:
    """Return the next row of a job that an executor holds: its lease ends `hold` after `now`."""
    return replace(
        job, holder=executor, held_until=now + hold, revision=job.revision + 1, reason=""
    )


def handed_back(job: Job, now: Millis) -> Job:
    """Return the row by which a holder gives its lease back: another may go on at once."""
    return replace(job, holder="", held_until=now, revision=job.revision + 1)


def is_over(job: Job, now: Millis) -> bool:
    """Return whether the lease of a holder is over by its own knowledge: it must write nothing more."""
    return job.held_until is None or now >= job.held_until


def is_unheld(job: Job, now: Millis) -> bool:
    """Return whether a job is running and has had no holder for `STALLED_AFTER`."""
    return job.state is JobState.RUNNING and now >= _lease_end(job) + STALLED_AFTER


def _lease_end(job: Job) -> Millis:
    """Return the end of a lease; a row without one says at least that its writer lived then."""
    return job.written_at + HELD_FOR if job.held_until is None else job.held_until
