"""Derives the state of a run and the history of a delivery from all files that mention them."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, TypeAlias

from hookstream.adapters.index.answers import (
    AsideRecord,
    DeliveryFilter,
    IndexedAttempt,
    IndexedDelivery,
)
from hookstream.adapters.index.aside_reader import AsideReader
from hookstream.adapters.index.attempt_rows import AttemptShape
from hookstream.adapters.index.folder import Family, IndexFile
from hookstream.adapters.index.hour_reader import FoundLife, HourReader, MetAttempt, Place
from hookstream.adapters.index.lives import NewestEntry
from hookstream.adapters.index.now_reader import NowReader
from hookstream.adapters.index.packing import Packed, delivery_of, packed_delivery, packed_id
from hookstream.adapters.index.postings import Of
from hookstream.core.audit.entry import AuditEntry
from hookstream.core.audit.history import DeadLettered, DeliveryHistory, Purge
from hookstream.core.audit.run_states import DeadRecord, PendingRecord, RunId, RunStates, run_of
from hookstream.core.delivery.identity import is_batch_id
from hookstream.core.model.instant import DAY, HOUR, Millis
from hookstream.core.statistics.life import (
    Ending,
    LifeKey,
    LifeState,
    is_test,
    key_of_entry,
    state_of_entry,
)

_COUNT = re.compile("[0-9]{1,10}")
"""The form of a number of attempts, since the dead letter is untrusted."""

_MOST_RUNS = 1_000
"""The most runs of one delivery that are distinguished, the newest."""

LifeOrder: TypeAlias = tuple[Millis, int, int, str, str, str]
"""The order of runs: their event's time and place, then subscription and job."""


def order_of(key: LifeKey) -> LifeOrder:
    """Return a run's key in the order of runs."""
    origin = key.origin
    where = origin.timestamp, origin.partition, origin.offset, origin.topic
    return *where, key.subscription_id, key.job or ""


def history_from(
    delivery_id: str,
    entries: Sequence[AuditEntry],
    dead: Iterable[AsideRecord],
    asked_at: Callable[[str], Millis | None],
) -> DeliveryHistory:
    """Return a delivery's history.

    Args:
        delivery_id: The delivery.
        entries: Its attempts, in time order.
        dead: Its dead letters.
        asked_at: Returns when a job was requested, if that is known.
    """
    found: list[DeadLettered] = []
    for summary, by in sorted(dead, key=lambda each: each.summary.at):
        purged = None if by is None else by.purged
        redriven = by.job_id if by is not None and purged is None else None
        purge = None
        if by is not None and purged is not None:
            purge = Purge(purged.at, by.job_id, str(summary.position), purged.by, purged.why)
        found.append(
            DeadLettered(
                at=summary.at,
                place=str(summary.position),
                reason=summary.reason,
                detail=summary.detail,
                attempt=_attempts(summary.attempt),
                redriven_by=redriven,
                redriven_at=None if redriven is None else asked_at(redriven),
                origin=summary.origin,
                job=summary.job or None,
                purge=purge,
            )
        )
    return DeliveryHistory(delivery_id, tuple(entries), tuple(found))


def dead_record(record: AsideRecord) -> DeadRecord:
    """Return a dead letter as a record of its run."""
    summary, by = record
    redriven = by is not None and by.purged is None
    return DeadRecord(
        run=RunId(summary.delivery_id, summary.origin, summary.job or None),
        subscription_id=summary.subscription_id,
        partner_id=summary.partner_id,
        event_type=summary.event_type,
        event_id=summary.event_id,
        place=str(summary.position),
        at=summary.at,
        reason=summary.reason,
        detail=summary.detail,
        attempt=_attempts(summary.attempt),
        last=f"{summary.last_outcome} {summary.last_status or summary.last_error}".strip(),
        redriven_by=by.job_id if by is not None and redriven else None,
        purged="" if by is None or redriven else str(by),
    )


def _attempts(text: str) -> int:
    return int(text) if _COUNT.fullmatch(text) else 0


class Runs(NamedTuple):
    """Finds everything about deliveries in the window."""

    hours: Sequence[IndexFile]
    """The newest first."""
    days: Sequence[IndexFile]
    hour: Callable[[IndexFile], AbstractContextManager[HourReader | None]]
    day: Callable[[IndexFile], AbstractContextManager[AsideReader | None]]
    now: Callable[[], AbstractContextManager[NowReader]]
    may_have: Callable[[IndexFile, Of, Packed], bool]
    """Whether an hour may have an id; called before the hour's file is opened."""

    def attempts_of(self, packed: Packed) -> Iterator[IndexedAttempt]:
        """Yield the attempts of a delivery, or of all members of a batch, the oldest hour first."""
        for file in reversed(self.hours):
            yield from self._attempts_in(file, packed)

    def pending_of(self, delivery_id: str) -> list[PendingRecord]:
        """Return the tier records of a delivery."""
        with self.now() as now:
            return now.of_delivery(delivery_id)

    def dead_of(self, delivery_id: str, origin_at: Millis = 0) -> list[AsideRecord]:
        """Return the dead letters of a delivery; `origin_at` is its event's time: none is older."""
        found: list[AsideRecord] = []
        for file in self._days_after(origin_at):
            with self.day(file) as day:
                found += () if day is None else day.of_delivery(delivery_id)
        return found

    def of_event(self, life: FoundLife) -> IndexedDelivery | None:
        """Return a run that was found by its attempts, like `of_life`; its event's hour may be gone."""
        origin_at = life.key.origin.timestamp
        file = self._hour_of(origin_at)
        if file is not None:
            with self.hour(file) as hour:
                known = None if hour is None else hour.life(life.key)
            if known is not None:
                return self.of_life(known)
        run = RunId(life.delivery_id, life.key.origin.place, life.key.job)
        return self._shown(run, life, self._entries_of(run, origin_at))

    def of_life(self, life: FoundLife) -> IndexedDelivery | None:
        """Return a run in its present state; None: the index has no record of it, any more or yet.

        Args:
            life: Its row in its event's hour.
        """
        run = RunId(life.delivery_id, life.key.origin.place, life.key.job)
        return self._shown(run, life, self._deciding(run, life))

    def _shown(
        self, run: RunId, life: FoundLife, entries: Iterable[AuditEntry]
    ) -> IndexedDelivery | None:
        """Return a run in its present state, given the entries that determine it."""
        origin_at = life.key.origin.timestamp
        states = RunStates(_MOST_RUNS)
        entity_id = ""
        for entry in entries:
            states.entry(entry)
            entity_id = entry.entity_id or entity_id
        if life.state.ending < Ending.DELIVERED:
            for pending in self.pending_of(life.delivery_id):
                states.pending(pending)
            for dead in self.dead_of(life.delivery_id, origin_at):
                states.dead(dead_record(dead))
        found = states.selected(lambda state: state.run == run).states
        return IndexedDelivery(found[0], entity_id, origin_at) if found else None

    def _deciding(self, run: RunId, life: FoundLife) -> Iterable[AuditEntry]:
        """Return the entries that give a run's state and its entity's id: nearly always one."""
        if life.newest is None:
            return ()
        entry = self._entry_at(life.key.subscription_id, life.newest)
        # An end without an attempt may lack the entity's id, which the attempts before it have.
        if (
            entry is not None
            and run_of(entry) == run
            and (entry.entity_id or entry.outcome is not None or not life.state.attempts)
        ):
            return (entry,)
        # A run is stored before its entry, and a damaged hour is read again.
        return self._entries_of(run, life.key.origin.timestamp)

    # Facts about many runs, without the runs themselves.

    def newest_shapes(self, lives: Iterable[FoundLife]) -> dict[LifeKey, AttemptShape]:
        """Return the shape of each run's newest entry; runs whose entry is missing are left out."""
        of_hours: dict[Millis, list[FoundLife]] = {}
        for life in lives:
            if life.newest is not None:
                of_hours.setdefault(Family.ATTEMPTS.start_of(life.newest.at), []).append(life)
        found: dict[LifeKey, AttemptShape] = {}
        for start, some in of_hours.items():
            file = self._hour_of(start)
            if file is not None:
                with self.hour(file) as hour:
                    found.update(() if hour is None else hour.newest_shapes(some))
        return found

    def waiting_among(self, lives: Iterable[FoundLife]) -> set[str]:
        """Return the deliveries of runs that have a tier record; the runs are a few hundred."""
        with self.now() as now:
            return now.waiting_among([*{each.delivery_id for each in lives}])

    def dead_among(self, lives: Sequence[FoundLife]) -> dict[str, bool]:
        """Return the deliveries of runs that have a dead letter, and whether one of theirs is resolved."""
        asked = {each.delivery_id for each in lives}
        oldest = min((each.key.origin.timestamp for each in lives), default=0)
        found: dict[str, bool] = {}
        for file in self._days_after(oldest):
            with self.day(file) as day:
                for delivery_id, is_resolved in () if day is None else day.dead_among(asked):
                    found[delivery_id] = found.get(delivery_id, False) or is_resolved
        return found

    def _days_after(self, origin_at: Millis) -> Iterator[IndexFile]:
        """Yield the days that may have dead letters of an event of a time; none is older."""
        # A dead letter may seem older by as much as the brokers' clocks differ.
        return (each for each in self.days if each.start + DAY + HOUR > origin_at)

    def _hour_of(self, instant: Millis) -> IndexFile | None:
        start = instant - instant % HOUR
        return next((each for each in self.hours if each.start == start), None)

    def _entry_at(self, subscription_id: str, newest: NewestEntry) -> AuditEntry | None:
        """Return the entry at a place; None: it is not there yet, or its hour is gone."""
        file = self._hour_of(newest.at)
        if file is None:
            return None
        with self.hour(file) as hour:
            found = None if hour is None else hour.attempt_at(subscription_id, newest[2:])
            return None if found is None else found.entry

    def _entries_of(self, run: RunId, origin_at: Millis) -> Iterator[AuditEntry]:
        """Yield a run's entries from its event's hour on, to the hour in which it was completed."""
        packed = packed_delivery(run.delivery_id)
        for file in reversed(self.hours):
            # An event may be of the hour after its attempt's, by as much as its broker's clock is ahead.
            if file.start + 2 * HOUR <= origin_at:
                continue
            completed = False
            for attempt in self._attempts_in(file, packed):
                if run_of(attempt.entry) == run:
                    yield attempt.entry
                    completed = completed or attempt.entry.disposition == "complete"
            if completed:
                return

    def of_ids(self, wanted: DeliveryFilter) -> list[tuple[LifeOrder, FoundLife]]:
        """Return the runs of an event or entity, the one with the newest event first."""
        kind, text = (
            (Of.EVENT, wanted.event_id)
            if wanted.event_id is not None
            else (Of.ENTITY, wanted.entity_id)
        )
        packed = packed_id(text or "")
        found: dict[LifeKey, FoundLife] = {}
        for file in self.hours:
            if not self.may_have(file, kind, packed):
                continue
            with self.hour(file) as hour:
                for each in () if hour is None else hour.matching(kind, packed, None):
                    if hour is not None and _is_of(wanted, hour.shape(each.shape).partner_id):
                        entry = hour.attempt(each.row).entry
                        key, state = key_of_entry(entry), state_of_entry(entry)
                        before = found[key].state if key in found else LifeState()
                        found[key] = FoundLife(
                            key,
                            entry.delivery_id,
                            before.join(state),
                            is_test(entry.trigger),
                            None,
                        )
        return sorted(((order_of(key), life) for key, life in found.items()), reverse=True)

    def _attempts_in(self, file: IndexFile, packed: Packed) -> Iterator[IndexedAttempt]:
        # A batch's id is not a delivery's, and is stored as text.
        kind = Of.BATCH if is_batch_id(delivery_of(packed)) else Of.DELIVERY
        if not self.may_have(file, kind, packed):
            return
        with self.hour(file) as hour:
            if hour is not None:
                for each in sorted(hour.matching(kind, packed, None), key=_place):
                    yield hour.attempt(each.row)


def _place(each: MetAttempt) -> Place:
    return each.place


def _is_of(wanted: DeliveryFilter, partner_id: str) -> bool:
    return wanted.partner_id in (None, partner_id)
