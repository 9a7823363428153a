"""An index in memory: a few things, selected and paged as the real one does."""

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from tests.doubles.clock import NOON

from hookstream.adapters.index.answers import (
    AsideCounts,
    AsideGroup,
    AsideRecord,
    AttemptFilter,
    Cursor,
    DeadLetterFilter,
    DeliveryAnswer,
    DeliveryFilter,
    DueCount,
    DueFilter,
    IndexedAttempt,
    IndexedDelivery,
    OperationsEvent,
    OperationsFilter,
    Page,
    PendingFilter,
    PendingSummary,
    ReasonCount,
    ReasonCounts,
    TierCount,
    UndecodableFilter,
    WaitingSubscription,
    Whose,
    Window,
)
from hookstream.core.audit.run_states import PendingRecord
from hookstream.core.failures.book import Looked
from hookstream.core.failures.distinct import Distinct
from hookstream.core.failures.groups import Errors, SeenErrors
from hookstream.core.model.instant import HOUR, Millis
from hookstream.core.redrive.marks import RedriveSource
from hookstream.core.statistics.attempts import BUCKETS, CountedAttempts, bucket_of
from hookstream.core.statistics.counts import Counts, Statistics, StatisticsStep
from hookstream.core.statistics.due import DueIntervals, due_intervals
from hookstream.core.statistics.errors import fingerprint_of
from hookstream.core.statistics.overview import (
    FailingEndpoint,
    Overview,
    OverviewBuilder,
    OverviewWindow,
    steps_for,
)

T = TypeVar("T")

WINDOW = Window(NOON - HOUR, NOON, NOON - HOUR)


@dataclass
class MemoryIndex:
    """What an index has. Each list is in the order of its answers."""

    found_attempts: list[IndexedAttempt] = field(default_factory=list)
    found_deliveries: list[IndexedDelivery] = field(default_factory=list)
    answers: dict[str, DeliveryAnswer] = field(default_factory=dict)
    waiting: list[PendingRecord] = field(default_factory=list)
    dead: list[AsideRecord] = field(default_factory=list)
    not_decoded: list[AsideRecord] = field(default_factory=list)
    events: list[OperationsEvent] = field(default_factory=list)
    beyond: int = 0
    """Waiting records that are in no list."""
    asked: PendingFilter = field(default_factory=PendingFilter)
    """What of that which waits was listed last."""

    def window(self) -> Window:
        return WINDOW

    def attempts(
        self, wanted: AttemptFilter, after: Cursor | None = None, limit: int = 50
    ) -> Page[IndexedAttempt]:
        return _page(
            [
                each
                for each in self.found_attempts
                if _is(wanted, each.entry.partner_id, each.entry.subscription_id)
                and wanted.delivery_id in (None, each.entry.delivery_id, each.entry.batch_id)
                and (wanted.since is None or each.at >= wanted.since)
            ],
            after,
            limit,
        )

    def deliveries(
        self, wanted: DeliveryFilter, after: Cursor | None = None, limit: int = 50
    ) -> Page[IndexedDelivery]:
        return _selected(
            self.found_deliveries,
            wanted,
            lambda each: (each.state.partner_id, each.state.subscription_id),
            after,
            limit,
        )

    def delivery(
        self, delivery_id: str, *, partner_id: str | None = None
    ) -> DeliveryAnswer | None:
        found = self.answers.get(delivery_id)
        return found if found and partner_id in (None, found.partner_id) else None

    def pending(
        self, wanted: PendingFilter, after: Cursor | None = None, limit: int = 50
    ) -> Page[PendingRecord]:
        self.asked = wanted
        return _selected(
            self.waiting,
            wanted,
            lambda each: (each.delivery.partner_id, each.delivery.subscription_id),
            after,
            limit,
        )

    def only_counted(self, whose: Whose) -> int:
        return self.beyond if whose.partner_id is None else min(self.beyond, 1)

    def dead_letters(
        self, wanted: DeadLetterFilter, after: Cursor | None = None, limit: int = 50
    ) -> Page[AsideRecord]:
        return _selected(
            [
                each
                for each in self.dead
                if wanted.delivery_id in (None, each.summary.delivery_id)
                and wanted.open in (None, each.resolved_by is None)
                and (wanted.statuses is None or each.summary.last_status in wanted.statuses)
            ],
            wanted,
            lambda each: (each.summary.partner_id, each.summary.subscription_id),
            after,
            limit,
        )

    def dead_letter_counts(self, whose: Whose) -> AsideCounts:
        groups = [
            AsideGroup(
                summary.subscription_id,
                summary.reason,
                1,
                summary.at,
                summary.at,
                summary.last_status,
            )
            for summary, _ in self.dead
            if _is(whose, summary.partner_id, summary.subscription_id)
        ]
        return AsideCounts(tuple(groups), WINDOW)

    def undecodable(
        self, wanted: UndecodableFilter, after: Cursor | None = None, limit: int = 50
    ) -> Page[AsideRecord]:
        kept = [
            each
            for each in self.not_decoded
            if wanted.open in (None, each.resolved_by is None)
            and (wanted.reasons is None or each.summary.reason in wanted.reasons)
        ]
        return _page(kept, after, limit)

    def undecodable_counts(self) -> AsideCounts:
        groups = [
            AsideGroup(summary.origin_topic, summary.reason, 1, summary.at, summary.at)
            for summary, by in self.not_decoded
            if by is None
        ]
        return AsideCounts(tuple(groups), WINDOW)

    def operations(
        self, wanted: OperationsFilter, after: Cursor | None = None, limit: int = 50
    ) -> Page[OperationsEvent]:
        return _selected(
            self.events,
            wanted,
            lambda each: (each.partner_id, each.subscription_id),
            after,
            limit,
        )

    def reasons(
        self, source: RedriveSource, whose: Whose, since: Millis, until: Millis
    ) -> ReasonCounts:
        del since, until
        records = self.dead if source is RedriveSource.DEAD_LETTERS else self.not_decoded
        counts: dict[str, ReasonCount] = {}
        for summary, by in records:
            if _is(whose, summary.partner_id, summary.subscription_id):
                reason = summary.reason
                known = counts.get(reason, ReasonCount(reason, 0, 0))
                counts[reason] = known.plus(ReasonCount(reason, 1, int(by is None)))
        return ReasonCounts(tuple(counts.values()), WINDOW)

    def waiting_tiers(self, wanted: DueFilter, now: Millis) -> tuple[TierCount, ...]:
        return self.pending_summary(wanted, due_intervals(1, now)).tiers

    def pending_summary(self, wanted: DueFilter, due: DueIntervals) -> PendingSummary:
        tiers: dict[str, TierCount] = {}
        subscriptions: dict[str, WaitingSubscription] = {}
        for each in self.waiting:
            delivery, reasons = each.delivery, {each.reason: 1}
            if not _is(wanted, delivery.partner_id, delivery.subscription_id):
                continue
            if wanted.tiers is None or each.topic in wanted.tiers:
                tiers[each.topic] = TierCount(each.topic, 1, 0, None, reasons, 0)
                name = delivery.subscription_id
                found = WaitingSubscription(name, delivery.partner_id, 1, 0, reasons)
                subscriptions[name] = found
        counts = tuple(DueCount(due.since, topic, 1) for topic in tiers)
        every = tuple(tiers.values()), counts, 0, tuple(subscriptions.values()), 0
        return PendingSummary(*every, self.only_counted(wanted), 0, 0, WINDOW)

    def overview(self, whose: Whose, wanted: OverviewWindow, *, now: Millis) -> Overview:
        builder = OverviewBuilder(steps_for(wanted, now, WINDOW.since or 0))
        mine = [
            each
            for each in self.found_attempts
            if _is(whose, each.entry.partner_id, each.entry.subscription_id)
        ]
        for each in mine:
            entry, buckets = each.entry, [0] * BUCKETS
            buckets[bucket_of(entry.duration_us)] = 1
            builder.add_attempts([CountedAttempts(each.at, 1, buckets)])
            builder.add_failing([FailingEndpoint(entry.subscription_id, entry.partner_id, 1, 1)])
        return builder.overview(builder.worst(), WINDOW.since or 0, whole=True)

    def counts_of_each(
        self, subscriptions: Collection[str], wanted: OverviewWindow, *, now: Millis
    ) -> tuple[Millis, dict[str, Counts]]:
        counts = {name: Counts() for name in subscriptions}
        for each in self.found_deliveries:
            if each.state.subscription_id in counts:
                counts[each.state.subscription_id].delivered += 1
        return now - (wanted.span or 0), counts

    def failures(
        self, whose: Whose, since: Millis, *, deliveries: bool = True, most: int | None = None
    ) -> Looked:
        del deliveries, most
        errors: dict[Errors, SeenErrors] = {}
        successes: dict[str, Millis] = {}
        for entry in (each.entry for each in self.found_attempts if each.at >= since):
            if not _is(whose, entry.partner_id, entry.subscription_id):
                continue
            fingerprint = fingerprint_of(entry)
            if fingerprint is None:
                successes[entry.subscription_id] = entry.started_at
                continue
            at, example = entry.started_at, entry.error or ""
            digest = hashlib.blake2b(entry.delivery_id.encode(), digest_size=8).digest()
            hashed = Distinct.of([int.from_bytes(digest, "big")])
            key = Errors(entry.partner_id, fingerprint)
            seen = SeenErrors(1, at, at, example, entry.delivery_id, hashed)
            errors[key] = errors[key].joined(seen) if key in errors else seen
        return Looked(max(since, NOON - HOUR), NOON, errors, successes)

    def statistics(
        self, whose: Whose, since: Millis, until: Millis, step: Millis, *, now: Millis
    ) -> Statistics:
        del step, now
        count = sum(
            _is(whose, each.state.partner_id, each.state.subscription_id)
            for each in self.found_deliveries
        )
        counts = Counts(delivered=count)
        return Statistics(since, until, counts, (StatisticsStep(since, counts),), None, ())


def _is(whose: Whose, partner_id: str, subscription_id: str) -> bool:
    return whose.partner_id in (None, partner_id) and (
        whose.subscriptions is None or subscription_id in whose.subscriptions
    )


def _selected(
    things: Sequence[T],
    whose: Whose,
    of: Callable[[T], tuple[str, str]],
    after: Cursor | None,
    limit: int,
) -> Page[T]:
    return _page([each for each in things if _is(whose, *of(each))], after, limit)


def _page(things: Sequence[T], after: Cursor | None, limit: int) -> Page[T]:
    begin = 0 if after is None else int(after[0])
    end = begin + limit
    return Page(tuple(things[begin:end]), (end,) if end < len(things) else None, WINDOW)
