"""Of the jobs over one dead-letter topic one works at a time, and the others wait for their turn.

A job is *at work* while its row has a holder, alive, dead or frozen: nobody works on a job before the
claim of its writer is in the table, and once it was handed back, or another opened its writer, whoever
held it writes nothing more. So two never work at once if each executor does this:

1. It claims its job. That is a row, as each of its steps has one.
2. It reads the table to its end, with that row in it, and waits out open transactions. If another job
   over the topic is at work then, it hands its own back and does nothing else. Otherwise it works.

The rows of the table have one order, so of two claims the later executor finds the earlier one. Both
may find each other, and hand back; so executors take jobs in one order, the oldest first. A holder that
died keeps the topic until somebody takes its job over, or ends it: only that fences it.

Nothing is written for this that a release before it does not write. Such a release lets a job fail when
it sees another one running, at work or not, once it has claimed its own; it never works beside one.
"""

from collections.abc import Iterable
from typing import Final

from hookstream.core.jobs.job import PURGE, REDRIVE, Job, JobState
from hookstream.core.jobs.lease import is_unheld
from hookstream.core.jobs.row_problem import RowProblem
from hookstream.core.model.instant import Millis

OVERTAKE_AFTER: Final = 15.0
"""Seconds for which a command leaves an older job the turn that nobody takes up. If both went on at
once, each would find the other, and both would hand back, again and again."""

DOES: Final = {REDRIVE: "redriving", PURGE: "purging"}
"""What the kinds of jobs do that take turns."""


def topic_of(job: Job) -> str | None:
    """Return the dead-letter topic that a job works on; None: jobs of its kind take no turns."""
    topic = job.asked.get("topic") if job.kind in DOES else None
    return topic if isinstance(topic, str) else None


def is_at_work(job: Job) -> bool:
    """Return whether something may be written for a job. A row without a lease does not say, so it may."""
    return job.state is JobState.RUNNING and (bool(job.holder) or job.held_until is None)


def may_wait(job: Job) -> bool:
    """Return whether another job may have to end before a job is claimed."""
    return job.state is JobState.RUNNING and topic_of(job) is not None and not is_at_work(job)


def age(job: Job) -> tuple[Millis, str]:
    """Return the place of a job in the line: the least is first."""
    return job.asked_at, job.id


def rivals(jobs: Iterable[Job], job: Job) -> list[Job]:
    """Return the other running jobs over the topic of a job, oldest first."""
    topic = topic_of(job)
    if topic is None:
        return []
    found = (
        other
        for other in jobs
        if other.id != job.id and other.state is JobState.RUNNING and topic_of(other) == topic
    )
    return sorted(found, key=age)


def at_work_beside(jobs: Iterable[Job], job: Job) -> Job | None:
    """Return the job for which an executor hands its own back that it has just claimed; None: it works.

    Args:
        jobs: All jobs, as the table has them at an end after the claim.
        job: The claimed one.
    """
    return next(filter(is_at_work, rivals(jobs, job)), None)


class JobLine:
    """Which jobs go before which, of all jobs at one instant: each is looked at once, however many wait.

    Args:
        jobs: All jobs. Ended ones, and those that take no turns, may be among them.
    """

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._first: dict[str, Job] = {}
        """By topic, the running job that was asked for before all others."""
        self._at_work: dict[str, list[Job]] = {}
        """By topic, those at work: rarely more than one."""
        for job in jobs:
            topic = topic_of(job) if job.state is JobState.RUNNING else None
            if topic is None:
                continue
            first = self._first.get(topic)
            if first is None or age(job) < age(first):
                self._first[topic] = job
            if is_at_work(job):
                self._at_work.setdefault(topic, []).append(job)

    def ahead(self, job: Job) -> Job | None:
        """Return the job for which one waits that nobody holds; None: an executor may claim it.

        That is a rival at work, or else the oldest that was asked for before it. A job that is at work
        waits for none: whoever goes on with it has to find that out by its claim.
        """
        topic = topic_of(job)
        if topic is None or not may_wait(job):
            return None
        # Its own row may be newer among the others.
        working = [each for each in self._at_work.get(topic, ()) if each.id != job.id]
        if working:
            return min(working, key=age)
        first = self._first.get(topic)
        return first if first is not None and age(first) < age(job) else None


def is_stalled(job: Job, ahead: Job | None, now: Millis) -> bool:
    """Return whether a job is running, has had no holder for `STALLED_AFTER`, and does not wait for its turn.

    Args:
        job: The job.
        ahead: The job for which it waits, as `JobLine.ahead` returns it; None: it does not wait.
        now: By the brokers' clock.
    """
    return ahead is None and is_unheld(job, now)


def may_claim_again(job: Job, other: Job | RowProblem | None, left_for: float) -> bool:
    """Return whether a command claims a job again that it handed back for another.

    Args:
        job: The job.
        other: The other one as it is now; None: its row is gone. What a row says that cannot be read,
            the next reading of the table has to judge.
        left_for: Seconds for which that one was seen to be at work by nobody.
    """
    if not isinstance(other, Job) or other.state is not JobState.RUNNING:
        return True
    if is_at_work(other):
        return False
    return age(job) < age(other) or left_for >= OVERTAKE_AFTER


def words(other: Job) -> str:
    """Return what a job waits for, and how that can be ended, for operators."""
    return (
        f"for its turn: {other.id} is {DOES.get(other.kind, other.kind)} {topic_of(other)}."
        f" If nothing works on that, continue it: hookstream jobs resume {other.id}, or end it:"
        f" hookstream jobs cancel {other.id}"
    )
