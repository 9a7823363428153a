"""Routes of statistics: of one subscription, of several, of one partner, or of everything."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from hookstream.adapters.index.answers import Whose
from hookstream.core.access.scopes import Scope
from hookstream.core.model.instant import (
    HOUR,
    MINUTE,
    SECOND,
    Millis,
    parse_duration,
    to_rfc3339,
)
from hookstream.core.statistics.counts import Counts, Statistics
from hookstream.core.statistics.errors import ErrorPattern
from hookstream.core.statistics.overview import OverviewWindow
from hookstream.entry.api.caller import is_mine, partner_of, subscription_of
from hookstream.entry.api.fields import ApiInput, ApiOutput, Duration, Instant
from hookstream.entry.api.filters import Words, instant
from hookstream.entry.api.problems import invalid
from hookstream.entry.api.routes import ApiAnswer, Call, Route

_TAG = "statistics"


class StatisticsQuery(ApiInput, frozen=True):
    """The interval of the statistics, and its steps."""

    since: Instant | None = None
    """Default: an hour before `until`."""
    until: Instant | None = None
    """Default: now."""
    step: Annotated[Duration, Meta(description="At least 1m.")] = "5m"


class EachQuery(ApiInput, frozen=True):
    """The subscriptions, and the window."""

    subscription: Words = ()
    """Up to 50 ids."""
    window: Literal["1h", "24h"] = "1h"


class CountsShown(ApiOutput, frozen=True):
    """Deliveries of the events of an interval, each counted once, without held or paused ones, replays and tests."""

    events: int
    delivered: int
    delivered_within_2s: int
    dead_lettered: int
    cancelled: int
    open: int
    open_for_5m: int
    """Those of them that are open for longer than 5 minutes."""
    retries: int
    success_rate: float | None
    """delivered ÷ (delivered + dead_lettered + open_for_5m); null: none is decided yet."""
    left_out: int
    """Runs that are not counted above: held or paused ones, replays, resends and tests."""
    held: int
    replays: int
    tests: int
    left_out_share: float


class StepShown(ApiOutput, frozen=True):
    """The counts of one step."""

    at: str
    counts: CountsShown


class LastAttemptShown(ApiOutput, frozen=True):
    """The newest attempt."""

    at: str
    outcome: str
    status: int | None
    delivery: str


class ErrorPatternShown(ApiOutput, frozen=True):
    """Similar errors."""

    subscription: str
    outcome: str
    status: int | None
    text: str
    count: int
    first_at: str
    last_at: str
    example: str
    delivery: str


class StatisticsShown(ApiOutput, frozen=True):
    """Statistics of an interval."""

    since: str
    """Later than requested, if the index has less."""
    until: str
    whole: bool
    """Whether the index has all of the interval."""
    counts: CountsShown
    steps: tuple[StepShown, ...]
    last_attempt: LastAttemptShown | None
    errors: tuple[ErrorPatternShown, ...]


class CountsOfOne(ApiOutput, frozen=True):
    """The counts of one subscription."""

    subscription: str
    counts: CountsShown


class CountsOfEach(ApiOutput, frozen=True):
    """The counts of several subscriptions, in the requested order."""

    since: str
    """Later than the start of the window, if the index has less."""
    until: str
    items: tuple[CountsOfOne, ...]
    """Only of existing ones."""


def get_subscription_statistics(call: Call[StatisticsQuery, None]) -> ApiAnswer:
    """Return the statistics of a subscription."""
    found = subscription_of(call)
    return _answer(call, Whose(found.partner_id, frozenset({found.id})))


def get_statistics_of_each(call: Call[EachQuery, None]) -> ApiAnswer:
    """Return the counts of several subscriptions."""
    known = call.services.state().current.subscriptions
    mine = [
        name
        for name in dict.fromkeys(call.query.subscription)
        if (found := known.get(name)) is not None and is_mine(call, found)
    ]
    now = call.services.now() // SECOND * SECOND
    window = OverviewWindow(call.query.window)
    since, counts = call.services.index().counts_of_each(mine, window, now=now)
    return ApiAnswer(
        CountsOfEach(
            since=to_rfc3339(since),
            until=to_rfc3339(now),
            items=tuple(
                CountsOfOne(subscription=name, counts=shown_counts(counts[name])) for name in mine
            ),
        )
    )


def get_partner_statistics(call: Call[StatisticsQuery, None]) -> ApiAnswer:
    """Return the statistics of a partner."""
    return _answer(call, Whose(partner_of(call).id))


def get_statistics(call: Call[StatisticsQuery, None]) -> ApiAnswer:
    """Return the statistics of everything."""
    return _answer(call, Whose())


def _answer(call: Call[StatisticsQuery, None], whose: Whose) -> ApiAnswer:
    query, now = call.query, call.services.now()
    until = instant(query.until, "until") or now
    since = instant(query.since, "since")
    since = until - HOUR if since is None else since
    found = call.services.index().statistics(whose, since, until, _step(query.step), now=now)
    return ApiAnswer(_shown(found))


def _step(text: str) -> Millis:
    try:
        step = parse_duration(text)
    except ValueError as why:
        raise invalid(str(why), "step") from None
    if step < MINUTE or step % MINUTE:
        raise invalid("must be a whole number of minutes", "step")
    return step


def _shown(found: Statistics) -> StatisticsShown:
    last = found.last_attempt
    return StatisticsShown(
        since=to_rfc3339(found.since),
        until=to_rfc3339(found.until),
        whole=found.whole,
        counts=shown_counts(found.counts),
        steps=tuple(
            StepShown(at=to_rfc3339(at), counts=shown_counts(each)) for at, each in found.steps
        ),
        last_attempt=None
        if last is None
        else LastAttemptShown(
            at=to_rfc3339(last.at),
            outcome=last.outcome,
            status=last.status,
            delivery=last.delivery_id,
        ),
        errors=tuple(map(shown_error, found.errors)),
    )


def shown_error(pattern: ErrorPattern) -> ErrorPatternShown:
    """Return a pattern of errors as it is shown."""
    return ErrorPatternShown(
        subscription=pattern.fingerprint.subscription_id,
        outcome=pattern.fingerprint.outcome,
        status=pattern.fingerprint.status,
        text=pattern.fingerprint.text,
        count=pattern.count,
        first_at=to_rfc3339(pattern.first_at),
        last_at=to_rfc3339(pattern.last_at),
        example=pattern.example,
        delivery=pattern.delivery_id,
    )


def shown_counts(counts: Counts) -> CountsShown:
    """Return counts as they are shown."""
    return CountsShown(
        events=counts.events,
        delivered=counts.delivered,
        delivered_within_2s=counts.delivered_at_once,
        dead_lettered=counts.dead_lettered,
        cancelled=counts.cancelled,
        open=counts.open,
        open_for_5m=counts.overdue,
        retries=counts.retries,
        success_rate=counts.success_rate,
        left_out=counts.left_out,
        held=counts.held,
        replays=counts.replays,
        tests=counts.tests,
        left_out_share=counts.left_out_share,
    )


def _route(path: str, scope: Scope, summary: str, handler: Any) -> Route:  # noqa: ANN401
    return Route(
        "GET", path, scope, summary, handler, StatisticsShown, query=StatisticsQuery, tag=_TAG
    )


ROUTES = (
    Route(
        "GET",
        "/v1/statistics/by-subscription",
        Scope.PARTNER_READ,
        "Show the counts of several subscriptions.",
        get_statistics_of_each,
        CountsOfEach,
        query=EachQuery,
        tag=_TAG,
    ),
    _route(
        "/v1/subscriptions/{subscription_id}/statistics",
        Scope.PARTNER_READ,
        "Show the statistics of a subscription.",
        get_subscription_statistics,
    ),
    _route(
        "/v1/partners/{partner_id}/statistics",
        Scope.PARTNER_READ,
        "Show the statistics of a partner.",
        get_partner_statistics,
    ),
    _route(
        "/v1/statistics",
        Scope.OPERATOR_READ,
        "Show the statistics of all partners together.",
        get_statistics,
    ),
)
