"""Route that counts waiting deliveries by tier, subscription and due time."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from msgspec import Meta

from hookstream.adapters.index.answers import DueCount, DueFilter, TierCount
from hookstream.core.access.scopes import Scope
from hookstream.core.model.delivery import DeferReason
from hookstream.core.model.instant import format_duration, parse_duration, to_rfc3339
from hookstream.core.statistics.due import MOST_HOURS, DueIntervals, due_intervals
from hookstream.entry.api.fields import OPERATORS_SEE, ApiOutput, ShortText
from hookstream.entry.api.filters import WhoseQuery, WindowShown, shown_window, time_text, whose
from hookstream.entry.api.problems import invalid
from hookstream.entry.api.resources.delivery_views import shown_reason
from hookstream.entry.api.resources.subscription_views import SUSPENDED
from hookstream.entry.api.routes import ApiAnswer, Call, Route

Tiers = Annotated[tuple[ShortText, ...], Meta(max_length=50, examples=[["5s", "1h"]])]
"""Tiers by their delays."""


class HistogramQuery(WhoseQuery, frozen=True):
    """The waiting deliveries to count, and the hours ahead."""

    tier: Tiers = ()
    """Only in the tiers of these delays."""
    hours: Annotated[int, Meta(ge=1, le=MOST_HOURS)] = 6
    """The number of hours ahead."""


class TierShown(ApiOutput, frozen=True):
    """The waiting deliveries of one tier."""

    tier: str
    """Its delay."""
    waiting: int
    overdue: int
    """Those of them that were due before this minute began."""
    overdue_since: str | None
    """The minute in which the first overdue one was due."""
    reasons: dict[str, int]
    """The number that wait for each reason."""
    topic: Annotated[str, OPERATORS_SEE]
    counted_only: Annotated[int, OPERATORS_SEE]
    """Further records, of all partners, that are in no other number and no list."""


class TierDueShown(ApiOutput, frozen=True):
    """The number of runs of one tier that fall due in an interval."""

    tier: str
    runs: int


class DueShown(ApiOutput, frozen=True):
    """The deliveries that fall due in one interval."""

    at: str
    """Its start: `due_from` for the list of its deliveries."""
    until: str
    """Its end: `due_to` for that list."""
    runs: int
    tiers: tuple[TierDueShown, ...]


class WaitingShown(ApiOutput, frozen=True):
    """The waiting deliveries of one subscription."""

    subscription: str
    partner: str
    waiting: int
    overdue: int
    reasons: dict[str, int]


class HistogramShown(ApiOutput, frozen=True):
    """Counts of waiting deliveries, also for intervals in which none falls due."""

    at: str
    """The start of this minute: deliveries due before it are overdue."""
    hours: int
    waiting: int
    overdue: int
    later: int
    """Those that fall due after the last interval."""
    due: tuple[DueShown, ...]
    tiers: tuple[TierShown, ...]
    subscriptions: tuple[WaitingShown, ...]
    """The 50 with the most waiting deliveries."""
    more_subscriptions: int
    """The number of other ones."""
    only_counted: int
    """How many records wait beyond the two million that the index keeps individually: of the other numbers, only
    `counted_only` has them. They are of all partners, so a partner is shown 1 if there are any."""
    unmatched: Annotated[int, OPERATORS_SEE]
    """Events that are still to be matched."""
    unreadable: Annotated[int, OPERATORS_SEE]
    """Records whose headers cannot be read."""
    window: WindowShown


def get_pending_histogram(call: Call[HistogramQuery, None]) -> ApiAnswer:
    """Return the counts of waiting deliveries."""
    due = due_intervals(call.query.hours, call.services.now())
    wanted = DueFilter(**whose(call), tiers=tier_topics(call, call.query.tier))
    found = call.services.index().pending_summary(wanted, due)
    tiers = shown_tiers(call, found.tiers)
    shown = HistogramShown(
        at=to_rfc3339(due.since),
        hours=call.query.hours,
        waiting=sum(each.waiting for each in tiers),
        overdue=sum(each.overdue for each in tiers),
        later=found.later,
        due=_shown_due(call, due, found.due),
        tiers=tiers,
        subscriptions=tuple(
            WaitingShown(
                subscription=each.subscription_id,
                partner=each.partner_id,
                waiting=each.runs,
                overdue=each.overdue,
                reasons=_reasons(call, each.reasons),
            )
            for each in found.subscriptions
        ),
        more_subscriptions=found.more_subscriptions,
        only_counted=found.only_counted,
        unmatched=found.unmatched,
        unreadable=found.unreadable,
        window=shown_window(found.window),
    )
    return ApiAnswer(shown)


def tier_topics(call: Call[Any, Any], tiers: tuple[str, ...]) -> frozenset[str] | None:
    """Return the topics of tiers that a request names by their delays; None: it names none.

    Raises:
        RequestRefused: A name is not a delay.
    """
    names = call.services.settings.topics_names
    try:
        return frozenset(names.tier(parse_duration(each)) for each in tiers) or None
    except ValueError as why:
        raise invalid(str(why), "tier", "name a tier by its delay, such as 5s") from None


def asked_reasons(call: Call[Any, Any], reasons: tuple[str, ...]) -> frozenset[str] | None:
    """Return the reasons that a request names, as they are stored; None: it names none."""
    if call.by_operator:
        return frozenset(reasons) or None
    held = DeferReason.HELD.value
    # Partners see a hold as `suspended`, and cannot filter by `held`.
    known = {SUSPENDED: held, held: ""}
    return frozenset(known.get(each, each) for each in reasons) or None


def shown_tiers(call: Call[Any, Any], tiers: Iterable[TierCount]) -> tuple[TierShown, ...]:
    """Return the view of tiers, shortest delay first."""
    names = call.services.settings.topics_names
    ordered = sorted(tiers, key=lambda each: (names.delay_of(each.topic) or 0, each.topic))
    return tuple(
        TierShown(
            tier=_tier(call, each.topic),
            waiting=each.runs,
            overdue=each.overdue,
            overdue_since=time_text(each.overdue_since),
            reasons=_reasons(call, each.reasons),
            topic=each.topic,
            counted_only=each.only_counted,
        )
        for each in ordered
        # Records that are only counted are of all partners.
        if call.by_operator or each.runs
    )


def _shown_due(
    call: Call[Any, Any], due: DueIntervals, found: Iterable[DueCount]
) -> tuple[DueShown, ...]:
    by_start: dict[int, list[TierDueShown]] = {at: [] for at in due.starts()}
    for each in found:
        by_start[each.at].append(TierDueShown(tier=_tier(call, each.topic), runs=each.runs))
    return tuple(
        DueShown(
            at=to_rfc3339(at),
            until=to_rfc3339(due.end_of(at)),
            runs=sum(each.runs for each in tiers),
            tiers=tuple(tiers),
        )
        for at, tiers in by_start.items()
    )


def _tier(call: Call[Any, Any], topic: str) -> str:
    delay = call.services.settings.topics_names.delay_of(topic)
    return "" if delay is None else format_duration(delay)


def _reasons(call: Call[Any, Any], reasons: Mapping[str, int]) -> dict[str, int]:
    return {
        shown_reason(reason, to_operator=call.by_operator) or "": runs
        for reason, runs in reasons.items()
    }


ROUTES = (
    Route(
        "GET",
        "/v1/pending/histogram",
        Scope.PARTNER_READ,
        "Count waiting deliveries by tier, by subscription and by due time.",
        get_pending_histogram,
        HistogramShown,
        query=HistogramQuery,
        tag="deliveries",
    ),
)
