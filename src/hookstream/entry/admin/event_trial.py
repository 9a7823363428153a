"""Decides whether one subscription would get a made-up event, and names the condition that it does not meet."""

from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

from hookstream.adapters.avro.codec import AvroCodec
from hookstream.adapters.avro.encoder import EventEncoder
from hookstream.adapters.system import new_id
from hookstream.core.matching.directory import Directory, Question
from hookstream.core.matching.explaining import Condition, Unmet, unmet
from hookstream.core.matching.granted import GrantTimeline
from hookstream.core.matching.pattern import PatternRefused, parse
from hookstream.core.model.instant import Millis, to_rfc3339
from hookstream.core.model.subscription import Subscription
from hookstream.entry.admin.delivery_tests import decoded_event, refuse_heavy
from hookstream.entry.admin.event_lines import EventLine
from hookstream.entry.admin.tables import State, found_subscription
from hookstream.settings import Settings


@dataclass(slots=True, frozen=True)
class EventTrial:
    """The answer of a subscription about an event."""

    event_type: str
    version: int
    """With which the event was read."""
    environment: str
    received: int
    """The version that the subscription receives, on which its filter is evaluated."""
    unmet: tuple[Unmet, ...]
    """None: it would be delivered."""


def try_event(
    settings: Settings, state: State, subscription_id: str, line: EventLine, now: Millis
) -> EventTrial:
    """Ask a subscription about an event as if it were recorded now; nothing is written or sent.

    The grant, the environments, the state and the filter are evaluated by the functions that matching uses.

    Args:
        settings: The largest event.
        state: The tables.
        subscription_id: The subscription.
        line: The event.
        now: The present.

    Raises:
        InputRefused: There is no such subscription, or the event does not fit its schema.
    """
    subscription = found_subscription(state, subscription_id)
    encoder = EventEncoder(state.book, max_bytes=settings.events.max_record_bytes)
    fields = {
        "event_id": str(UUID(new_id())),
        "occurred_at": line.timestamp or to_rfc3339(now),
        "entity_id": line.entity_id,
        "environment": line.environment,
        "data": line.data,
    }
    value = encoder.encode(line.event_type, fields, line.version, event_id=line.event_id)
    event = decoded_event(state.book, line.event_type, line.version, value)
    latest = state.book.latest(line.event_type)
    question = Question(
        line.event_type,
        line.environment,
        now,
        partial(AvroCodec(state.book).document, event),
        latest,
    )
    # A subscription starts to match a moment after it was written; for a made-up event that moment is over.
    asked = replace(subscription, active_from=min(subscription.active_from, now - 1))
    disabled = state.current.disabled.get(subscription.id)
    version = question.version(subscription.pin(line.event_type))
    refuse_heavy(state.book, event, version, _tests(state, asked))
    found = unmet(_directory(state, asked), asked, disabled, question)
    return EventTrial(
        event_type=line.event_type,
        version=event.revision.event_version,
        environment=line.environment,
        received=version,
        unmet=tuple(each for each in found if not _is_of_pull(subscription, each)),
    )


def _tests(state: State, subscription: Subscription) -> int:
    """Return how many comparisons a subscription's filter and its partner's grants make for one value."""
    partner = state.current.partners.get(subscription.partner_id)
    granted = 0 if partner is None else GrantTimeline(partner).most_tests()
    try:
        return granted + (parse(subscription.pattern).tests if subscription.pattern else 0)
    except PatternRefused:
        # It cannot be evaluated, which is what is said of it.
        return granted


def _directory(state: State, subscription: Subscription) -> Directory:
    directory = Directory()
    partner = state.current.partners.get(subscription.partner_id)
    if partner is not None:
        directory.put_partner(partner)
    directory.put_subscription(subscription)
    return directory


def _is_of_pull(subscription: Subscription, found: Unmet) -> bool:
    """Return whether a condition only prevents sending: a reader of the pull door would get the event."""
    return subscription.endpoint.is_pull and found.condition is Condition.SUBSCRIPTION
