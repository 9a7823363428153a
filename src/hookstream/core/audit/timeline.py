"""A delivery's timeline has all that is known of its life, over runs, attempts and tiers, in order.

It is made of what topics say: audit entries, dead letters with what resolved them, tier records, and the rows
of the jobs that began its runs. A wait that is over is known by the attempt before it; the tiers that it went
through are not, since tier records are not kept. The wait of now is known by its tier record.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from hookstream.core.audit.copies import Merged, merged
from hookstream.core.audit.entry import AuditEntry
from hookstream.core.audit.history import DeadLettered
from hookstream.core.audit.run_states import PendingRecord
from hookstream.core.jobs.job import Job
from hookstream.core.model.delivery import DeferReason, Trigger
from hookstream.core.model.instant import Millis


class StepKind(StrEnum):
    """What happened. At one instant it happens in this order."""

    PUBLISHED = "published"
    """Its event was appended to its topic."""
    MATCHED = "matched"
    """The event was matched with the subscription."""
    BEGAN = "began"
    """A job began a run of it: a replay, a resend or a test."""
    ATTEMPT = "attempt"
    """A request was made."""
    ENDED = "ended"
    """A run ended without a request."""
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    DEAD_LETTERED = "dead-lettered"
    REDRIVEN = "redriven"
    """A job put a dead letter back into its run."""
    PURGED = "purged"
    """A job resolved a dead letter that nobody wants delivered."""
    WAIT = "wait"
    """It waits, or waited, for its next attempt."""


_ORDER = {kind: number for number, kind in enumerate(StepKind)}


@dataclass(slots=True, frozen=True)
class LifeStep:
    """One thing that happened to a delivery; what a field is of is said by the kind."""

    kind: StepKind
    at: Millis
    origin: str
    """The place of its event, `topic-partition@offset`; empty: not known, or not shown to partners."""
    job: str | None
    """The job whose run it belongs to, of a redrive or purge the job that made it; None: the first life."""
    reason: str = ""
    """Why it waits or ended; of a run, what began it (`replay`, `resend`, `test`)."""
    detail: str = ""
    place: str = ""
    """Of a dead letter, a redrive and a purge the letter's position, `3@7`; empty: it is not known."""
    by: str = ""
    """Who asked for a run, a redrive or a purge; empty: not known, or nobody did."""
    attempt: AuditEntry | None = None
    """Of an attempt, and of an end without one."""
    copies: int = 1
    """How many records say it, the same attempt again after a crash."""
    attempts: int = 0
    """Of a dead letter, how many attempts were made before."""
    until: Millis | None = None
    """When a wait ends, or was to end; None: at once, or as soon as there is room."""
    is_now: bool = False
    """Whether it waits there now."""
    tier: str = ""
    """The topic of the tier in which it waits now."""
    deferrals: int = 0
    """How often it was put off without an attempt, in the wait of now."""


class _RunKey(NamedTuple):
    origin: str
    job: str | None


def timeline(
    entries: Iterable[AuditEntry],
    deaths: Sequence[DeadLettered],
    pending: Sequence[PendingRecord],
    jobs: Mapping[str, Job],
) -> tuple[LifeStep, ...]:
    """Return what happened to a delivery, the first thing first.

    Args:
        entries: Its audit entries, in any order; copies are merged.
        deaths: Its dead letters.
        pending: The tier records from which its runs go on, one a run.
        jobs: The jobs that began its runs or redrove it, as far as their rows are known.
    """
    attempts = merged(entries)
    happened: dict[_RunKey, list[LifeStep]] = defaultdict(list)
    for each in attempts:
        happened[_of_entry(each.entry)] += _attempted(each)
    for death in deaths:
        happened[_RunKey(death.origin, death.job)] += _died(death, jobs)
    for record in pending:
        _waits(happened[_of_pending(record)], record)
    for key, steps in happened.items():
        steps.extend(_letters_missing(key, attempts, deaths))
        steps.extend(_beginning(key, tuple(steps), jobs))
    for origin, at in _published(attempts, pending).items():
        happened[_RunKey(origin, None)].append(LifeStep(StepKind.PUBLISHED, at, origin, None))
    return _in_order(happened)


def _of_entry(entry: AuditEntry) -> _RunKey:
    return _RunKey(entry.origin.place, entry.job_id)


def _of_pending(record: PendingRecord) -> _RunKey:
    return _RunKey(record.delivery.origin.place, record.delivery.job)


def ended_at(entry: AuditEntry) -> Millis:
    """Return when an attempt had its answer, or a run ended without one."""
    return entry.started_at + entry.duration_us // 1_000


def _attempted(each: Merged) -> Iterator[LifeStep]:
    """Yield an attempt, and what followed from its answer."""
    entry = each.entry
    origin, job, at = entry.origin.place, entry.job_id, ended_at(entry)
    made = entry.outcome is not None
    kind = StepKind.ATTEMPT if made else StepKind.ENDED
    reason = entry.reason or ("" if made else entry.disposition)
    yield LifeStep(
        kind, entry.started_at, origin, job, reason=reason, attempt=entry, copies=each.copies
    )
    if entry.disposition == "complete":
        yield LifeStep(StepKind.COMPLETED, at, origin, job)
    elif entry.disposition == "cancel" and made:
        yield LifeStep(StepKind.CANCELLED, at, origin, job, reason=entry.reason or "")
    elif entry.next_due_at is not None:
        why = entry.reason or Trigger.RETRY.value
        if entry.disposition == "retry":
            why = Trigger.RETRY.value
        yield LifeStep(StepKind.WAIT, at, origin, job, reason=why, until=entry.next_due_at)


def _died(death: DeadLettered, jobs: Mapping[str, Job]) -> Iterator[LifeStep]:
    """Yield a dead letter, and what became of it."""
    letter = LifeStep(
        StepKind.DEAD_LETTERED,
        death.at,
        death.origin,
        death.job,
        reason=death.reason,
        detail=death.detail,
        place=death.place,
        attempts=death.attempt,
    )
    yield letter
    if death.redriven_by is not None:
        # If the job's row is gone, it is only known that it came after the dead letter.
        at = death.at if death.redriven_at is None else death.redriven_at
        job = jobs.get(death.redriven_by)
        yield LifeStep(
            StepKind.REDRIVEN,
            at,
            death.origin,
            death.redriven_by,
            place=death.place,
            by="" if job is None else job.asked_by,
        )
    if death.purge is not None:
        at, by = max(death.at, death.purge.at), death.purge
        yield LifeStep(
            StepKind.PURGED,
            at,
            death.origin,
            by.job_id,
            detail=by.why,
            place=death.place,
            by=by.by,
        )


def _waits(steps: list[LifeStep], record: PendingRecord) -> None:
    """Add the wait of now: that of the last attempt goes on, or another one began after it."""
    delivery = record.delivery
    origin, job = delivery.origin.place, delivery.job
    if job is None:
        steps.append(LifeStep(StepKind.MATCHED, delivery.first_at, origin, job))
    since = record.at if delivery.deferred_since is None else delivery.deferred_since
    now = LifeStep(
        StepKind.WAIT,
        since,
        origin,
        job,
        reason=record.reason,
        until=delivery.due_at,
        is_now=True,
        tier=record.topic,
        place=record.place,
        deferrals=delivery.deferrals,
    )
    if delivery.deferred_reason in (None, DeferReason.NOT_DUE):
        for number, step in enumerate(steps):
            if step.kind is StepKind.WAIT and step.until == delivery.due_at:
                # The same wait, which its attempt has announced.
                steps[number] = replace(now, at=min(step.at, record.at), reason=step.reason)
                return
    steps.append(now)


def _letters_missing(
    key: _RunKey, attempts: Sequence[Merged], deaths: Sequence[DeadLettered]
) -> Iterator[LifeStep]:
    """Yield an end for each entry that says `dead_letter` and whose letter is not known (any more)."""
    known = Counter(death.attempt for death in deaths if _RunKey(death.origin, death.job) == key)
    for entry, _ in attempts:
        if _of_entry(entry) != key or entry.disposition != "dead_letter":
            continue
        if known[entry.attempt]:
            known[entry.attempt] -= 1
            continue
        yield LifeStep(
            StepKind.DEAD_LETTERED,
            ended_at(entry),
            key.origin,
            key.job,
            reason=entry.reason or "",
            attempts=entry.attempt,
        )


def _beginning(
    key: _RunKey, steps: Sequence[LifeStep], jobs: Mapping[str, Job]
) -> Iterator[LifeStep]:
    """Yield what began a run that is not the first life."""
    if key.job is None:
        return
    first = min(step.at for step in steps)
    job = jobs.get(key.job)
    if job is None:
        # The id begins with what the job is.
        kind = key.job.partition("-")[0]
        yield LifeStep(StepKind.BEGAN, first, key.origin, key.job, reason=kind)
    else:
        at = min(job.asked_at, first)
        yield LifeStep(StepKind.BEGAN, at, key.origin, key.job, reason=job.kind, by=job.asked_by)


def _published(attempts: Sequence[Merged], pending: Sequence[PendingRecord]) -> dict[str, Millis]:
    """Return when each event was appended; of a test there is none."""
    found = {
        entry.origin.place: entry.origin.timestamp
        for entry, _ in attempts
        if entry.trigger != Trigger.TEST
    }
    for record in pending:
        if record.delivery.trigger is not Trigger.TEST:
            found.setdefault(record.delivery.origin.place, record.delivery.origin.timestamp)
    return found


def _in_order(happened: Mapping[_RunKey, Sequence[LifeStep]]) -> tuple[LifeStep, ...]:
    """Return all steps in time order; a cause never stands behind what it caused, whatever clocks said."""
    first: dict[str, Millis] = {}
    for key, steps in happened.items():
        at = min(step.at for step in steps)
        first[key.origin] = min(at, first.get(key.origin, at))
    keyed: list[tuple[tuple[Millis, int], LifeStep]] = []
    for steps in happened.values():
        earliest = min(step.at for step in steps)
        for step in steps:
            at = step.at
            if step.kind is StepKind.PUBLISHED:
                at = min(at, first[step.origin])
            elif step.kind in (StepKind.MATCHED, StepKind.BEGAN):
                at = min(at, earliest)
            keyed.append(((at, _ORDER[step.kind]), step))
    keyed.sort(key=lambda each: each[0])
    return tuple(step for _, step in keyed)
