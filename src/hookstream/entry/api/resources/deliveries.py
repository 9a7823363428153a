"""Routes of deliveries, attempts and waiting deliveries."""

from typing import Any, Literal

from hookstream.adapters.index.answers import AttemptFilter, DeliveryFilter, PendingFilter
from hookstream.core.access.scopes import Scope
from hookstream.core.audit.history import DeliveryState
from hookstream.core.model.subscription_status import Absent
from hookstream.entry.admin.delivery_life import life_of
from hookstream.entry.api.fields import ApiOutput, Identifier, Instant
from hookstream.entry.api.filters import (
    TimesQuery,
    WhosePageQuery,
    WindowShown,
    Words,
    after,
    following,
    instant,
    shown_window,
    times,
    whose,
    words,
)
from hookstream.entry.api.problems import ProblemKind, RequestRefused
from hookstream.entry.api.resources.delivery_life_views import (
    DeliveryShown,
    shown_next,
    shown_sent,
    shown_timeline,
)
from hookstream.entry.api.resources.delivery_views import (
    AttemptShown,
    PendingShown,
    RunShown,
    shown_indexed,
    shown_pending,
    shown_run,
)
from hookstream.entry.api.resources.retries import Tiers, asked_reasons, tier_topics
from hookstream.entry.api.resources.subscription_views import status_in
from hookstream.entry.api.routes import ApiAnswer, Call, Route

_TAG = "deliveries"


class DeliveriesQuery(TimesQuery, frozen=True):
    """The filters of the list of runs."""

    event: Identifier | None = None
    entity: Identifier | None = None
    event_type: Words = ()
    state: tuple[Literal["pending", "completed", "dead-lettered", "cancelled"], ...] = ()


class DeliveriesPage(ApiOutput, frozen=True):
    """Runs of deliveries, newest event first."""

    items: tuple[RunShown, ...]
    next: str | None
    window: WindowShown


class AttemptsQuery(TimesQuery, frozen=True):
    """The filters of the list of attempts."""

    delivery: Identifier | None = None
    event: Identifier | None = None
    entity: Identifier | None = None
    event_type: Words = ()
    outcome: Words = ()
    disposition: Words = ()
    failed: bool | None = None


class AttemptsPage(ApiOutput, frozen=True):
    """Attempts, the newest first."""

    items: tuple[AttemptShown, ...]
    next: str | None
    window: WindowShown


class PendingQuery(WhosePageQuery, frozen=True):
    """The filters of the list of waiting deliveries."""

    tier: Tiers = ()
    """Only in the tiers of these delays."""
    reason: Words = ()
    """Only for these reasons."""
    due_from: Instant | None = None
    """Due then or later (RFC 3339); those due at once are left out."""
    due_to: Instant | None = None
    """Due before then."""


class PendingPage(ApiOutput, frozen=True):
    """Deliveries that wait for their next attempt, earliest due first."""

    items: tuple[PendingShown, ...]
    next: str | None
    only_counted: int
    """How many records wait beyond the two million that the index keeps individually: they are in no list. They are
    of all partners, so a partner is shown 1 if there are any."""
    window: WindowShown


def list_deliveries(call: Call[DeliveriesQuery, None]) -> ApiAnswer:
    """Return runs of deliveries."""
    query = call.query
    wanted = DeliveryFilter(
        **whose(call),
        **times(call),
        event_id=query.event,
        entity_id=query.entity,
        event_types=words(query.event_type),
        states=frozenset(map(DeliveryState, query.state)) or None,
    )
    page = call.services.index().deliveries(wanted, after(call), query.limit)
    items = tuple(shown_run(each, to_operator=call.by_operator) for each in page.items)
    return ApiAnswer(
        DeliveriesPage(items=items, next=following(call, page), window=shown_window(page.window))
    )


def get_delivery(call: Call[Any, None]) -> ApiAnswer:
    """Return one delivery with its timeline."""
    delivery_id = call.params["delivery_id"]
    found = call.services.index().delivery(delivery_id, partner_id=call.caller.partner_id)
    if found is None:
        detail = f"the index has no delivery {delivery_id!r} within its window"
        raise RequestRefused(ProblemKind.NOT_FOUND, detail)
    operator = call.by_operator
    services, state = call.services, call.services.state()
    row = state.current.subscriptions.get(found.subscription_id)
    life = life_of(
        found.history,
        found.entries,
        found.pending,
        services.job,
        Absent() if row is None else status_in(state, row, services.now(), found.event_type),
        state,
        services.settings.topics_names.subscriptions,
    )
    shown = DeliveryShown(
        id=delivery_id,
        subscription=found.subscription_id,
        partner=found.partner_id,
        state="pending" if found.pending else found.history.state.value,
        pending=tuple(shown_pending(each, to_operator=operator) for each in found.pending),
        timeline=shown_timeline(life.steps, to_operator=operator),
        next=shown_next(life.coming, to_operator=operator),
        sent=shown_sent(life.sent),
        window=shown_window(found.window),
    )
    return ApiAnswer(shown)


def list_attempts(call: Call[AttemptsQuery, None]) -> ApiAnswer:
    """Return attempts."""
    query = call.query
    wanted = AttemptFilter(
        **whose(call),
        **times(call),
        delivery_id=query.delivery,
        event_id=query.event,
        entity_id=query.entity,
        event_types=words(query.event_type),
        outcomes=words(query.outcome),
        dispositions=words(query.disposition),
        failed=query.failed,
    )
    page = call.services.index().attempts(wanted, after(call), query.limit)
    items = tuple(shown_indexed(each, to_operator=call.by_operator) for each in page.items)
    return ApiAnswer(
        AttemptsPage(items=items, next=following(call, page), window=shown_window(page.window))
    )


def list_pending(call: Call[PendingQuery, None]) -> ApiAnswer:
    """Return deliveries that wait for their next attempt."""
    query = call.query
    wanted = PendingFilter(
        **whose(call),
        reasons=asked_reasons(call, query.reason),
        due_from=instant(query.due_from, "due_from"),
        due_before=instant(query.due_to, "due_to"),
        tiers=tier_topics(call, query.tier),
    )
    index = call.services.index()
    page = index.pending(wanted, after(call), query.limit)
    items = tuple(shown_pending(each, to_operator=call.by_operator) for each in page.items)
    return ApiAnswer(
        PendingPage(
            items=items,
            next=following(call, page),
            only_counted=index.only_counted(wanted),
            window=shown_window(page.window),
        )
    )


ROUTES = (
    Route(
        "GET",
        "/v1/deliveries",
        Scope.PARTNER_READ,
        "List deliveries and their states.",
        list_deliveries,
        DeliveriesPage,
        query=DeliveriesQuery,
        tag=_TAG,
    ),
    Route(
        "GET",
        "/v1/deliveries/{delivery_id}",
        Scope.PARTNER_READ,
        "Show a delivery: its state, where it waits, and its timeline.",
        get_delivery,
        DeliveryShown,
        tag=_TAG,
    ),
    Route(
        "GET",
        "/v1/attempts",
        Scope.PARTNER_READ,
        "List attempts.",
        list_attempts,
        AttemptsPage,
        query=AttemptsQuery,
        tag=_TAG,
    ),
    Route(
        "GET",
        "/v1/pending",
        Scope.PARTNER_READ,
        "List the deliveries that wait for their next attempt, with the reasons.",
        list_pending,
        PendingPage,
        query=PendingQuery,
        tag=_TAG,
    ),
)
