"""An index in memory: a few things, selected and paged as the real one does."""

from collections.abc import Callable, Sequence
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
    IndexedAttempt,
    IndexedDelivery,
    OperationsEvent,
    OperationsFilter,
    Page,
    PendingCounts,
    PendingFilter,
    UndecodableFilter,
    Whose,
    Window,
)
from hookstream.core.audit.run_states import PendingRecord
from hookstream.core.model.instant import HOUR, Millis
from hookstream.core.statistics.counts import Counts, Statistics, StatisticsStep

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
                and wanted.delivery_id in (None, each.entry.delivery_id)
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
        return _selected(
            self.waiting,
            wanted,
            lambda each: (each.delivery.partner_id, each.delivery.subscription_id),
            after,
            limit,
        )

    def only_counted(self, whose: Whose) -> int:
        return self.beyond if whose.partner_id is None else min(self.beyond, 1)

    def pending_counts(self, whose: Whose) -> PendingCounts:
        return PendingCounts((), self.only_counted(whose), 0, 0, WINDOW)

    def dead_letters(
        self, wanted: DeadLetterFilter, after: Cursor | None = None, limit: int = 50
    ) -> Page[AsideRecord]:
        return _selected(
            [each for each in self.dead if wanted.delivery_id in (None, each.summary.delivery_id)],
            wanted,
            lambda each: (each.summary.partner_id, each.summary.subscription_id),
            after,
            limit,
        )

    def dead_letter_counts(self, whose: Whose) -> AsideCounts:
        groups = [
            AsideGroup(summary.subscription_id, summary.reason, 1, summary.at, summary.at)
            for summary, _ in self.dead
            if _is(whose, summary.partner_id, summary.subscription_id)
        ]
        return AsideCounts(tuple(groups), WINDOW)

    def undecodable(
        self, wanted: UndecodableFilter, after: Cursor | None = None, limit: int = 50
    ) -> Page[AsideRecord]:
        del wanted
        return _page(self.not_decoded, after, limit)

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
