"""Route of the overview: delivery statistics, waiting deliveries, and what needs attention."""

from typing import Annotated, Any

from msgspec import Meta

from hookstream.adapters.index.answers import DueFilter, ReasonCounts, Whose
from hookstream.core.access.scopes import Scope
from hookstream.core.jobs import turns
from hookstream.core.model.instant import MINUTE, SECOND, Millis, to_rfc3339
from hookstream.core.model.subscription import Subscription
from hookstream.core.model.subscription_status import Held
from hookstream.core.redrive.marks import RedriveSource
from hookstream.core.statistics.attempts import AttemptCounts
from hookstream.core.statistics.overview import (
    FailingEndpoint,
    Overview,
    OverviewStep,
    OverviewWindow,
)
from hookstream.entry.admin.job_owners import partner_of_job
from hookstream.entry.admin.tables import State
from hookstream.entry.api.fields import OPERATORS_SEE, ApiOutput
from hookstream.entry.api.filters import WhoseQuery, WindowShown, shown_window, whose
from hookstream.entry.api.resources.holds import HoldInForce, shown_hold
from hookstream.entry.api.resources.retries import TierShown, shown_tiers
from hookstream.entry.api.resources.statistics import (
    CountsShown,
    ErrorPatternShown,
    shown_counts,
    shown_error,
)
from hookstream.entry.api.resources.subscription_views import status_in
from hookstream.entry.api.routes import ApiAnswer, Call, Route

MOST_NAMED = 50
"""The most holds, partitions, jobs and subscriptions that are named; further ones are counted."""


class OverviewQuery(WhoseQuery, frozen=True):
    """The filters of the overview, and its window."""

    window: Annotated[
        OverviewWindow, Meta(description="`1h`, `24h`, or `all`: the whole index.")
    ] = OverviewWindow.HOUR


class AttemptsCounted(ApiOutput, frozen=True):
    """Requests, also of replays and tests, by the time they were recorded."""

    attempts: int
    failed: int
    """Those after which their delivery was neither delivered nor cancelled."""
    p50_ms: float | None
    """The median duration, from a histogram. Null: there were none."""
    p95_ms: float | None
    """The 95th percentile of the duration; 60000 also means longer."""


class OverviewStepShown(ApiOutput, frozen=True):
    """The numbers of one step."""

    at: str
    """Its start; it ends at the start of the next one, or now."""
    counts: CountsShown
    attempts: AttemptsCounted


class ReasonShown(ApiOutput, frozen=True):
    """Dead letters or undecodable records of the window, of one reason."""

    reason: str
    records: int
    open: int
    """Those of them that are neither redriven nor purged."""


class HoldsShown(ApiOutput, frozen=True):
    """Holds in force."""

    count: int
    items: tuple[HoldInForce, ...]


class OpenPartitionShown(ApiOutput, frozen=True):
    """A partition that needs attention."""

    topic: str
    partition: int
    why: str


class OpenPartitionsShown(ApiOutput, frozen=True):
    """Partitions without a worker, or whose events have been unsettled for more than a minute."""

    at: str
    """When the brokers were asked: at most a minute ago."""
    problem: str | None
    """Why their state is unknown; null: it is known."""
    count: int
    items: tuple[OpenPartitionShown, ...]


class StalledJobShown(ApiOutput, frozen=True):
    """A stalled job."""

    id: str
    kind: str
    done: int
    total: int
    partner: str | None


class StalledJobsShown(ApiOutput, frozen=True):
    """Stalled jobs."""

    count: int
    items: tuple[StalledJobShown, ...]


class SuspendedShown(ApiOutput, frozen=True):
    """Subscriptions whose deliveries are suspended."""

    count: int
    subscriptions: tuple[str, ...]


class FailingShown(ApiOutput, frozen=True):
    """An endpoint with failed requests."""

    subscription: str
    partner: str
    attempts: int
    failed: int
    error: ErrorPatternShown | None
    """Its most frequent error of the newest hour that has one."""


class OverviewShown(ApiOutput, frozen=True):
    """Delivery statistics, waiting deliveries, and what needs attention."""

    at: str
    asked_window: str
    since: str
    """Later than requested, if the index has less."""
    until: str
    whole: bool
    """Whether the index has all of the window."""
    step_seconds: int
    counts: CountsShown
    within_2s_share: float | None
    """delivered_within_2s ÷ (delivered + dead_lettered + open_for_5m); null: none is decided yet."""
    deliveries_per_minute: float
    attempts_per_minute: float
    attempts: AttemptsCounted
    steps: tuple[OverviewStepShown, ...]
    """Every step of the window, oldest first: at most 180."""
    tiers: tuple[TierShown, ...]
    """What waits now."""
    only_counted: int
    """As in the list of waiting deliveries."""
    dead_letters: tuple[ReasonShown, ...]
    undecodable: Annotated[tuple[ReasonShown, ...], OPERATORS_SEE]
    """Of no partner, so only in the overview of everything."""
    suspended: SuspendedShown | None
    """Null in the overview of everything."""
    holds: Annotated[HoldsShown, OPERATORS_SEE]
    partitions: Annotated[OpenPartitionsShown, OPERATORS_SEE]
    stalled_jobs: StalledJobsShown
    worst: tuple[FailingShown, ...]
    """The endpoints with the most failed requests: at most 10."""
    window: WindowShown


def get_overview(call: Call[OverviewQuery, None]) -> ApiAnswer:
    """Return the overview."""
    services, mine = call.services, Whose(**whose(call))
    now = services.now() // SECOND * SECOND
    index = services.index()
    found = index.overview(mine, call.query.window, now=now)
    dead = index.reasons(RedriveSource.DEAD_LETTERS, mine, found.since, now)
    state = services.state()
    undecodable: tuple[ReasonShown, ...] = ()
    if mine == Whose():
        set_aside = index.reasons(RedriveSource.UNDECODABLE, mine, found.since, now)
        undecodable = _reasons(set_aside)
    minutes = max(1.0, (found.until - found.since) / MINUTE)
    filtered = DueFilter(mine.partner_id, mine.subscriptions)
    shown = OverviewShown(
        at=to_rfc3339(now),
        asked_window=call.query.window.value,
        since=to_rfc3339(found.since),
        until=to_rfc3339(found.until),
        whole=found.whole,
        step_seconds=found.step // SECOND,
        counts=shown_counts(found.counts),
        within_2s_share=found.counts.at_once_rate,
        deliveries_per_minute=round(found.counts.events / minutes, 3),
        attempts_per_minute=round(found.attempts.attempts / minutes, 3),
        attempts=_attempts(found.attempts),
        steps=tuple(map(_step, found.steps)),
        tiers=shown_tiers(call, index.waiting_tiers(filtered, now)),
        only_counted=index.only_counted(mine),
        dead_letters=_reasons(dead),
        undecodable=undecodable,
        suspended=_suspended(state, mine, now),
        holds=_holds(state),
        partitions=_partitions(call),
        stalled_jobs=_stalled(call, state, mine, now),
        worst=tuple(map(_failing, found.worst)),
        window=_window(dead, found),
    )
    return ApiAnswer(shown)


def _window(dead: ReasonCounts, found: Overview) -> WindowShown:
    """Return the window of the answer, to the second: requests within a second have the same one."""
    window = dead.window
    until = None if window.until is None else window.until // SECOND * SECOND
    return shown_window(window._replace(since=found.since, until=until))


def _attempts(counts: AttemptCounts) -> AttemptsCounted:
    return AttemptsCounted(
        attempts=counts.attempts,
        failed=counts.failed,
        p50_ms=_rounded(counts.p50),
        p95_ms=_rounded(counts.p95),
    )


def _rounded(time: float | None) -> float | None:
    return None if time is None else round(time, 1)


def _step(step: OverviewStep) -> OverviewStepShown:
    return OverviewStepShown(
        at=to_rfc3339(step.at), counts=shown_counts(step.counts), attempts=_attempts(step.attempts)
    )


def _reasons(found: ReasonCounts) -> tuple[ReasonShown, ...]:
    return tuple(
        ReasonShown(reason=each.reason, records=each.records, open=each.open)
        for each in found.reasons
    )


def _failing(found: FailingEndpoint) -> FailingShown:
    return FailingShown(
        subscription=found.subscription_id,
        partner=found.partner_id,
        attempts=found.attempts,
        failed=found.failed,
        error=None if found.error is None else shown_error(found.error),
    )


def _suspended(state: State, mine: Whose, now: Millis) -> SuspendedShown | None:
    if mine == Whose():
        return None
    held = sorted(
        each.id
        for each in state.current.subscriptions.values()
        if state.holds
        and isinstance(each, Subscription)
        and mine.partner_id in (None, each.partner_id)
        and (mine.subscriptions is None or each.id in mine.subscriptions)
        and isinstance(status_in(state, each, now), Held)
    )
    return SuspendedShown(count=len(held), subscriptions=tuple(held[:MOST_NAMED]))


def _holds(state: State) -> HoldsShown:
    every = sorted(state.holds, key=lambda each: (-each.since, each.kind, each.name))
    return HoldsShown(count=len(every), items=tuple(map(shown_hold, every[:MOST_NAMED])))


def _partitions(call: Call[Any, Any]) -> OpenPartitionsShown:
    if not call.by_operator:
        return OpenPartitionsShown(at="", problem=None, count=0, items=())
    look = call.services.open_partitions()
    return OpenPartitionsShown(
        at=to_rfc3339(look.at // SECOND * SECOND),
        problem=look.problem or None,
        count=len(look.partitions),
        items=tuple(
            OpenPartitionShown(topic=each.at.topic, partition=each.at.partition, why=each.why)
            for each in look.partitions[:MOST_NAMED]
        ),
    )


def _stalled(call: Call[Any, Any], state: State, mine: Whose, now: Millis) -> StalledJobsShown:
    stalled: list[StalledJobShown] = []
    jobs = call.services.jobs()
    line = turns.JobLine(jobs)
    for job in jobs:
        if turns.is_stalled(job, line.ahead(job), now):
            partner = partner_of_job(job, state.current.subscriptions)
            named = job.asked.get("subscription")
            if mine.partner_id in (None, partner) and (
                mine.subscriptions is None or named in mine.subscriptions
            ):
                stalled.append(
                    StalledJobShown(
                        id=job.id, kind=job.kind, done=job.done, total=job.total, partner=partner
                    )
                )
    return StalledJobsShown(count=len(stalled), items=tuple(stalled[:MOST_NAMED]))


ROUTES = (
    Route(
        "GET",
        "/v1/overview",
        Scope.PARTNER_READ,
        "Show delivery statistics, waiting deliveries, and what needs attention.",
        get_overview,
        OverviewShown,
        query=OverviewQuery,
        tag="statistics",
    ),
)
