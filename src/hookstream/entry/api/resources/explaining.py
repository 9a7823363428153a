"""Route that explains why an event was delivered or not."""

from typing import Annotated

from msgspec import Meta

from hookstream.core.access.scopes import Scope
from hookstream.core.matching.explaining import Unmet
from hookstream.core.model.instant import HOUR, to_rfc3339
from hookstream.core.model.record_place import RecordPlace, read_place
from hookstream.entry.admin.explain import ExplainRequest
from hookstream.entry.admin.explanation import Aside, ExplainedEvent, ExplainedSubscription
from hookstream.entry.api.caller import mine
from hookstream.entry.api.fields import (
    OPERATORS_ASK,
    OPERATORS_SEE,
    ApiInput,
    ApiOutput,
    Identifier,
    Instant,
)
from hookstream.entry.api.filters import instant
from hookstream.entry.api.problems import invalid
from hookstream.entry.api.resources.delivery_life_views import TimelineEntry, shown_history
from hookstream.entry.api.resources.delivery_views import shown_reason
from hookstream.entry.api.routes import ApiAnswer, Call, Route

_NOT_KNOWN = "nothing is recorded for it yet"
"""Shown to partners in place of the workers' positions in our topics."""
Place = Annotated[str, Meta(min_length=1, max_length=300)]


class ExplainQuery(ApiInput, frozen=True):
    """The event to explain."""

    event: Identifier | None = None
    """Its id."""
    place: Annotated[Place | None, OPERATORS_ASK] = None
    """Its record, `topic/partition@offset`, in place of its id."""
    since: Instant | None = None
    """Searches an id in records of this time or later (RFC 3339); default: the last hour."""
    subscription: Identifier | None = None
    """The only subscription to explain; default: all that ask for the type."""


class AsideShown(ApiOutput, frozen=True):
    """A tier record, undecodable record or dead letter of the event."""

    kind: str
    """`tier`, `undecodable` or `dead_letter`."""
    at: str
    subscription: str | None
    """Null: it is an event for all subscriptions."""
    why: str
    due_at: str | None
    open: bool
    """Whether it still waits there."""
    place: Annotated[str, OPERATORS_SEE]


class UnmetShown(ApiOutput, frozen=True):
    """A condition that is not met, by the current tables."""

    condition: str
    """`subscription`, `event_type`, `grant`, `environment`, `active` or `filter`."""
    why: str


class ChangeShown(ApiOutput, frozen=True):
    """A change of a subscription since the event."""

    at: str
    change: str
    revision: int
    changed_by: Annotated[str, OPERATORS_SEE]


class ExplainedSubscriptionShown(ApiOutput, frozen=True):
    """The explanation for one subscription: unmet conditions, or the state of the delivery."""

    subscription: str
    partner: str
    status: str
    """In words; empty: it is active."""
    unmet: tuple[UnmetShown, ...]
    """None: it matches."""
    delivery: str
    state: str
    """The delivery's state, `not matched`, or `unknown`."""
    timeline: tuple[TimelineEntry, ...] | None
    """The delivery's timeline; null: nothing is recorded, or it was not read."""
    waits: AsideShown | None
    note: str
    """The explanation if there is no timeline."""
    changes: tuple[ChangeShown, ...]


class EventShown(ApiOutput, frozen=True):
    """The event's fields."""

    id: str
    type: str
    version: int
    environment: str
    entity: str
    schema: Annotated[str, OPERATORS_SEE]


class ExplainedEventShown(ApiOutput, frozen=True):
    """One record of the event, explained."""

    event: EventShown | None
    """Null: the record is not an event."""
    appended_at: str
    subscriptions: tuple[ExplainedSubscriptionShown, ...]
    subscriptions_left_out: int
    """How many more ask for it: they can be requested by id."""
    place: Annotated[str, OPERATORS_SEE]
    found_in: Annotated[str, OPERATORS_SEE]
    copy: Annotated[str | None, OPERATORS_SEE]
    """The position of the copy that was read, in a topic of hookstream; null: the event's own record was read."""
    problem: Annotated[str | None, OPERATORS_SEE]
    """Why it is not an event."""
    settled: Annotated[str, OPERATORS_SEE]
    """Whether workers are done with its record."""
    aside: Annotated[tuple[AsideShown, ...], OPERATORS_SEE]
    """The tier records in which it waits for all subscriptions, and its undecodable records."""


class ExplanationShown(ApiOutput, frozen=True):
    """The explanation of why an event was delivered or not."""

    events: tuple[ExplainedEventShown, ...]
    """None: the search did not find it, or it is not granted."""
    is_whole: bool
    """Whether the search was complete."""
    searched: Annotated[tuple[str, ...], OPERATORS_SEE]
    not_searched: Annotated[tuple[str, ...], OPERATORS_SEE]


def explain_event(call: Call[ExplainQuery, None]) -> ApiAnswer:
    """Return why an event was delivered or not."""
    query, now = call.query, call.services.now()
    name = query.subscription
    if name is not None and not call.by_operator:
        mine(call, name)
    since = instant(query.since, "since")
    request = ExplainRequest(
        _target(query), now - HOUR if since is None else since, name, call.caller.partner_id
    )
    found = call.services.explain(request, call.caller)
    operator = call.by_operator
    shown = ExplanationShown(
        events=tuple(_event(each, to_operator=operator) for each in found.events),
        is_whole=not found.left_out,
        searched=tuple(found.searched),
        not_searched=tuple(found.left_out),
    )
    return ApiAnswer(shown, subject=query.event or query.place)


def _target(query: ExplainQuery) -> str | RecordPlace:
    if (query.event is None) == (query.place is None):
        raise invalid("give either an id or a place", "event")
    if query.place is None:
        return query.event or ""
    place = read_place(query.place)
    if place is None:
        raise invalid("it is not a place such as orders/0@42", "place")
    return place


def _event(explained: ExplainedEvent, *, to_operator: bool) -> ExplainedEventShown:
    found, facts = explained.found, explained.found.event
    event = None
    if facts is not None:
        event = EventShown(
            id=facts.event_id,
            type=facts.event_type,
            version=facts.version,
            environment=facts.environment,
            entity=facts.entity_id,
            schema=facts.schema,
        )
    return ExplainedEventShown(
        event=event,
        appended_at=to_rfc3339(found.at),
        subscriptions=tuple(
            _subscription(each, to_operator=to_operator) for each in explained.subscriptions
        ),
        subscriptions_left_out=explained.left_out,
        place=found.place,
        found_in=found.found_in,
        copy=found.copy,
        problem=found.problem,
        settled=explained.settled,
        aside=tuple(_aside(each, to_operator=to_operator) for each in explained.asides),
    )


def _subscription(
    explained: ExplainedSubscription, *, to_operator: bool
) -> ExplainedSubscriptionShown:
    history, waits, note = explained.history, explained.waits, explained.note
    return ExplainedSubscriptionShown(
        subscription=explained.subscription_id,
        partner=explained.partner_id,
        status=explained.status,
        unmet=tuple(map(_unmet, explained.unmet)),
        delivery=explained.delivery_id,
        state=explained.state,
        timeline=None if history is None else shown_history(history, to_operator=to_operator),
        waits=None if waits is None else _aside(waits, to_operator=to_operator),
        note=note if to_operator or not note else _NOT_KNOWN,
        changes=tuple(
            ChangeShown(
                at=each.at,
                change=each.change,
                revision=each.revision,
                changed_by=each.changed_by,
            )
            for each in explained.changes
        ),
    )


def _unmet(found: Unmet) -> UnmetShown:
    return UnmetShown(condition=found.condition.value, why=found.why)


def _aside(found: Aside, *, to_operator: bool) -> AsideShown:
    why = found.why if to_operator else shown_reason(found.why, to_operator=False) or ""
    return AsideShown(
        kind=found.kind,
        at=to_rfc3339(found.at),
        subscription=found.subscription_id,
        why=why,
        due_at=found.due_at,
        open=found.is_open,
        place=found.place,
    )


ROUTES = (
    Route(
        "GET",
        "/v1/explain",
        Scope.PARTNER_READ,
        "Explain why an event was delivered or not.",
        explain_event,
        ExplanationShown,
        query=ExplainQuery,
        scans=True,
        tag="deliveries",
        act="event.explained",
    ),
)
