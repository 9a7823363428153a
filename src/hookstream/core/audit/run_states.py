"""The state of each run of a delivery, by what tiers, attempts and dead letters say of it.

A run is one life of a delivery: its first, or one of a job (a replay, a resend, a test). Three kinds of
records mention it, in no order:

- a tier record that nobody has settled: it is pending, and is attempted from there;
- an audit entry: an attempt, or an end without one;
- a dead letter, and whether a job has resolved it.
"""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from hookstream.core.audit.entry import AuditEntry
from hookstream.core.audit.history import DeliveryState
from hookstream.core.model.delivery import DeferReason, Delivery, Trigger
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import Record
from hookstream.errors import InvariantBroken


class RunId(NamedTuple):
    """What identifies a run: one id of a delivery may be that of several events."""

    delivery_id: str
    origin: str
    """The event's original position, `topic-partition@offset`."""
    job: str | None
    """None: the first life, redrives included."""


@dataclass(slots=True, frozen=True)
class PendingRecord:
    """A tier record that nobody has settled: where a run waits."""

    delivery: Delivery
    topic: str
    partition: int
    offset: int
    at: Millis
    """When it was appended to the tier."""

    @classmethod
    def of(cls, delivery: Delivery, record: Record) -> "PendingRecord":
        """Return the tier record that a delivery was read from, without its value."""
        return cls(delivery, record.topic, record.partition, record.offset, record.timestamp)

    @property
    def place(self) -> str:
        """`topic-partition@offset`."""
        return f"{self.topic}-{self.partition}@{self.offset}"

    @property
    def run(self) -> RunId:
        """The run that waits."""
        delivery = self.delivery
        return RunId(delivery.delivery_id, delivery.origin.place, delivery.job)

    @property
    def reason(self) -> str:
        """Why it waits: the reason of its deferral, else why its next attempt is made."""
        deferred = self.delivery.deferred_reason
        # A hop is no reason: more of the same wait is left than the tier before could hold.
        if deferred in (None, DeferReason.NOT_DUE):
            return self.delivery.trigger.value
        return str(deferred)

    @property
    def last(self) -> str:
        """What the last attempt came to, `failed 503`; empty if none was made in this run."""
        delivery = self.delivery
        said = (delivery.last_outcome, delivery.last_status or delivery.last_error)
        return " ".join(str(word) for word in said if word)


@dataclass(slots=True, frozen=True)
class DeadRecord:
    """A dead letter of a run."""

    run: RunId
    subscription_id: str
    partner_id: str
    event_type: str
    event_id: str
    place: str
    """Its position in its topic, `3@1042`."""
    at: Millis
    reason: str
    detail: str
    attempt: int
    last: str
    redriven_by: str | None = None
    """The job that redrove it; None: none did."""
    purged: str = ""
    """Who purged it and why, in words; empty: nobody did."""


@dataclass(slots=True, frozen=True)
class RunState:
    """The state of one run, in the fields by which runs are listed and selected."""

    run: RunId
    subscription_id: str
    partner_id: str
    event_type: str
    event_id: str
    state: DeliveryState
    at: Millis
    """When it came into this state, as far as the records say: a tier record's, an attempt's, a dead letter's
    time."""
    attempt: int
    """Attempts made so far in this run."""
    trigger: str
    """Why the next attempt is made, or why the last one was; empty where only a dead letter is known."""
    reason: str
    """Why it waits, or why it ended; empty where nothing more is to be said."""
    detail: str
    last: str
    """What the last attempt came to, `failed 503`; empty if none was made in this run or it is not known."""
    due_at: Millis | None = None
    """When it is due; None: it is not pending, or due at once, or not known."""
    place: str = ""
    """Where it is: the tier record, `topic-partition@offset`, or the dead letter, `3@1042`; empty: not
    known, or nowhere any more."""


class RunGroup(NamedTuple):
    """What runs are counted by."""

    subscription_id: str
    state: DeliveryState
    reason: str


@dataclass(slots=True)
class RunCount:
    """How many runs a group has, over which time they came into their states, and when the next is due."""

    runs: int
    oldest: Millis
    newest: Millis
    next_due_at: Millis | None


class _Ended(NamedTuple):
    """What an audit entry says of its run."""

    state: RunState
    attempted: bool
    """False: it is an end without an attempt."""


@dataclass(slots=True)
class _Known:
    """What is known of one run: the newest record of each kind."""

    pending: PendingRecord | None = None
    ended: _Ended | None = None
    """By the newest audit entry, or by one that says it completed."""
    dead: DeadRecord | None = None

    @property
    def at(self) -> Millis:
        pending, ended, dead = self.pending, self.ended, self.dead
        return max(
            0 if pending is None else pending.at,
            0 if ended is None else ended.state.at,
            0 if dead is None else dead.at,
        )

    def note(self, ended: _Ended) -> None:
        before = self.ended
        # What completed once stays so: an attempt after that is of a copy, which a crash made.
        rank = (ended.state.state is DeliveryState.COMPLETED, ended.state.at)
        if before is None or rank >= (
            before.state.state is DeliveryState.COMPLETED,
            before.state.at,
        ):
            self.ended = ended

    def state(self) -> RunState:
        """Return the state that these records give."""
        pending, ended, dead = self.pending, self.ended, self.dead
        if pending is not None and not _is_of(pending, ended):
            return _waiting(pending)
        if dead is not None and (ended is None or _comes_before(ended.state, dead)):
            return _dead(dead, "" if ended is None else ended.state.trigger)
        if ended is None:
            raise InvariantBroken("a run is known of which no record was read")
        return ended.state


def _comes_before(state: RunState, dead: DeadRecord) -> bool:
    """Return whether a dead letter says more of a run than its newest audit entry."""
    return state.state is not DeliveryState.COMPLETED and state.at <= dead.at


def _is_of(pending: PendingRecord, ended: _Ended | None) -> bool:
    """Return whether an entry is what became of a tier record, which then is only not committed yet.

    Attempts are counted in records, so the entry of its attempt has the next number. An end without an
    attempt has the same one, as the entry before the tier record may have.
    """
    if ended is None:
        return False
    if ended.state.attempt != pending.delivery.attempt:
        return ended.state.attempt > pending.delivery.attempt
    return not ended.attempted and ended.state.at >= pending.at


def waiting(
    records: Iterable[PendingRecord], entries: Iterable[AuditEntry]
) -> list[PendingRecord]:
    """Return the tier records from which runs go on, one for each run, the one that is due first in front.

    A record that has moved to another tier, or whose attempt was made, may not be committed yet: its run
    has a newer one, or an entry that ended it.

    Args:
        records: Tier records that are not settled by what was committed.
        entries: The audit entries of the same deliveries.
    """
    newest: dict[RunId, PendingRecord] = {}
    for record in records:
        known = newest.get(record.run)
        if known is None or known.at <= record.at:
            newest[record.run] = record
    for entry in entries:
        record_of_run = newest.get(run_of(entry))
        if record_of_run is not None and _is_of(record_of_run, _said(entry)):
            del newest[record_of_run.run]
    return sorted(newest.values(), key=lambda each: (each.delivery.due_at or 0, each.at))


def _waiting(pending: PendingRecord) -> RunState:
    delivery = pending.delivery
    return RunState(
        run=pending.run,
        subscription_id=delivery.subscription_id,
        partner_id=delivery.partner_id,
        event_type=delivery.event_type,
        event_id=delivery.event_id,
        state=DeliveryState.PENDING,
        at=pending.at,
        attempt=delivery.attempt,
        trigger=delivery.trigger.value,
        reason=pending.reason,
        detail="",
        last=pending.last,
        due_at=delivery.due_at,
        place=pending.place,
    )


def _dead(dead: DeadRecord, trigger: str) -> RunState:
    redriven = dead.redriven_by is not None
    return RunState(
        run=dead.run,
        subscription_id=dead.subscription_id,
        partner_id=dead.partner_id,
        event_type=dead.event_type,
        event_id=dead.event_id,
        # What became of a redriven one is not known yet.
        state=DeliveryState.PENDING if redriven else DeliveryState.DEAD_LETTERED,
        at=dead.at,
        attempt=dead.attempt,
        trigger=trigger,
        reason=Trigger.REDRIVE.value if redriven else dead.reason,
        detail=f"redriven from {dead.place} by {dead.redriven_by}"
        if redriven
        else dead.purged or dead.detail,
        last=dead.last,
        place="" if redriven else dead.place,
    )


_STATES = {
    "complete": DeliveryState.COMPLETED,
    "cancel": DeliveryState.CANCELLED,
    "dead_letter": DeliveryState.DEAD_LETTERED,
}


def state_after(disposition: str) -> DeliveryState:
    """Return the state that an audit entry's disposition says its run is in."""
    return _STATES.get(disposition, DeliveryState.PENDING)


def _ended(entry: AuditEntry) -> RunState:
    state = state_after(entry.disposition)
    return RunState(
        run=run_of(entry),
        subscription_id=entry.subscription_id,
        partner_id=entry.partner_id,
        event_type=entry.event_type,
        event_id=entry.event_id,
        state=state,
        at=entry.started_at,
        attempt=entry.attempt,
        trigger=entry.trigger,
        reason=entry.reason or (entry.disposition if state is DeliveryState.PENDING else ""),
        detail=(entry.error or "") if entry.outcome is None else "",
        last=outcome_words(entry),
        due_at=entry.next_due_at if state is DeliveryState.PENDING else None,
    )


def _said(entry: AuditEntry) -> _Ended:
    return _Ended(_ended(entry), entry.outcome is not None)


def run_of(entry: AuditEntry) -> RunId:
    """Return the run that an audit entry belongs to."""
    return RunId(entry.delivery_id, entry.origin.place, entry.job_id)


def outcome_words(entry: AuditEntry) -> str:
    """Return what an attempt came to, `failed 503`; empty where none was made."""
    if entry.outcome is None:
        return ""
    return f"{entry.outcome} {entry.status or entry.error or ''}".rstrip()


class RunStates:
    """The states of many runs, of which the newest `most` are kept.

    Args:
        most: How many runs are kept in memory, at least 1.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[RunId, _Known] = {}
        self.dropped = 0
        """How many times a run was dropped for newer ones; it counts again if another record mentions it."""

    def pending(self, pending: PendingRecord) -> None:
        """Add a tier record; a copy of a run's in another tier replaces an older one."""
        known = self._of(pending.run)
        if known.pending is None or known.pending.at <= pending.at:
            known.pending = pending

    def entry(self, entry: AuditEntry) -> None:
        """Add an audit entry."""
        self._of(run_of(entry)).note(_said(entry))

    def dead(self, dead: DeadRecord) -> None:
        """Add a dead letter."""
        known = self._of(dead.run)
        if known.dead is None or known.dead.at <= dead.at:
            known.dead = dead

    def _of(self, run: RunId) -> _Known:
        known = self._known.get(run)
        if known is None:
            if len(self._known) >= 2 * self._most:
                self._drop_oldest()
            known = self._known[run] = _Known()
        return known

    def _drop_oldest(self) -> None:
        kept = heapq.nlargest(self._most, self._known.items(), key=lambda item: item[1].at)
        self.dropped += len(self._known) - len(kept)
        self._known = dict(kept)

    def selected(self, selects: Callable[[RunState], bool]) -> "Selected":
        """Return the runs that a condition selects."""
        found = Selected()
        for known in self._known.values():
            state = known.state()
            if selects(state):
                found.add(state)
        return found


@dataclass(slots=True)
class Selected:
    """Selected runs, and their counts. In memory as many as `RunStates` keeps."""

    states: list[RunState] = field(default_factory=list)
    groups: dict[RunGroup, RunCount] = field(default_factory=dict)

    def add(self, state: RunState) -> None:
        """Add a run."""
        self.states.append(state)
        group = RunGroup(state.subscription_id, state.state, state.reason)
        count = self.groups.get(group)
        if count is None:
            self.groups[group] = RunCount(1, state.at, state.at, state.due_at)
            return
        count.runs += 1
        count.oldest = min(count.oldest, state.at)
        count.newest = max(count.newest, state.at)
        if state.due_at is not None:
            count.next_due_at = min(state.due_at, count.next_due_at or state.due_at)

    def newest(self, limit: int) -> list[RunState]:
        """Return the `limit` that changed last, the oldest of them first."""
        return heapq.nlargest(limit, self.states, key=_order)[::-1]

    def largest_first(self) -> list[tuple[RunGroup, RunCount]]:
        """Return the groups by descending size, then by name."""
        return sorted(self.groups.items(), key=lambda item: (-item[1].runs, item[0]))


def _order(state: RunState) -> tuple[Millis, str, str, str]:
    run = state.run
    return state.at, run.delivery_id, run.origin, run.job or ""
