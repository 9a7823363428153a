"""The answer to why an event did, or did not, arrive: values, and their JSON, on which scripts rely."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hookstream.core.audit.history import DeliveryHistory, DeliveryState
from hookstream.core.matching.explaining import Unmet
from hookstream.core.model.instant import Millis, to_rfc3339
from hookstream.core.model.json import Json, JsonObject


@dataclass(slots=True, frozen=True)
class Aside:
    """A record that was set aside: in a tier, as undecodable, or as a dead letter."""

    place: str
    """`topic/partition@offset`."""
    kind: str
    """`tier`, `undecodable` or `dead_letter`."""
    at: Millis
    subscription_id: str | None
    """None: it is an event for all subscriptions."""
    why: str
    due_at: str | None
    is_open: bool
    """Whether it still waits there: not read again from its tier, not redriven, not purged."""

    def as_json(self) -> JsonObject:
        """Return it as plain JSON."""
        return {
            "place": self.place,
            "kind": self.kind,
            "at": to_rfc3339(self.at),
            "subscription": self.subscription_id,
            "why": self.why,
            "due_at": self.due_at,
            "open": self.is_open,
        }


@dataclass(slots=True, frozen=True)
class SubscriptionChange:
    """A change of a subscription since the event."""

    at: str
    change: str
    revision: int
    changed_by: str

    def as_json(self) -> JsonObject:
        """Return it as plain JSON."""
        return {
            "at": self.at,
            "change": self.change,
            "revision": self.revision,
            "changed_by": self.changed_by,
        }


@dataclass(slots=True)
class ExplainedSubscription:
    """The conditions of one subscription for an event, and the state of its delivery."""

    subscription_id: str
    partner_id: str
    status: str
    """Empty: it is active."""
    unmet: Sequence[Unmet]
    """The unmet conditions by the current tables; none: it matches."""
    delivery_id: str
    history: DeliveryHistory | None = None
    """None: nothing in the audit log and in the dead letters mentions it, or it was not read."""
    waits: Aside | None = None
    """Where the delivery waits in the tiers."""
    note: str = ""
    """A note if there is no history."""
    changes: Sequence[SubscriptionChange] = ()

    @property
    def state(self) -> str:
        """Its state as in `attempts show`; `not matched`, or `unknown` if nothing is known."""
        if self.history is not None and self.history.state is not DeliveryState.UNKNOWN:
            return self.history.state.value
        if self.waits is not None:
            return DeliveryState.PENDING.value
        return "not matched" if self.unmet else DeliveryState.UNKNOWN.value

    def as_json(self) -> JsonObject:
        """Return it as plain JSON."""
        conditions: list[Json] = [
            {"condition": each.condition.value, "why": each.why} for each in self.unmet
        ]
        changes: list[Json] = [each.as_json() for each in self.changes]
        known = () if self.history is None else self.history.entries
        attempts: list[Json] = [each.as_json() for each in known]
        return {
            "subscription": self.subscription_id,
            "partner": self.partner_id,
            "status": self.status or "active",
            "matches": not self.unmet,
            "unmet": conditions,
            "delivery": self.delivery_id,
            "state": self.state,
            "attempts": attempts,
            "waits": None if self.waits is None else self.waits.as_json(),
            "note": self.note or None,
            "changes": changes,
        }


@dataclass(slots=True, frozen=True)
class EventFacts:
    """The event's own fields."""

    event_id: str
    event_type: str
    version: int
    environment: str
    entity_id: str
    schema: str
    """Its fingerprint; empty: not shown."""


@dataclass(slots=True, frozen=True)
class ExplainedRecord:
    """The record in which an event was found."""

    place: str
    """In its event topic, `topic/partition@offset`; empty: partners do not see it."""
    at: Millis
    """When it was appended there."""
    found_in: str
    """The topic in which it was found."""
    copy: str | None
    """The place of its copy in a topic of hookstream's; None: its own record was read."""
    problem: str | None
    """Why it is not an event, with the reason's word first; None: it is one."""
    event: EventFacts | None


@dataclass(slots=True)
class ExplainedEvent:
    """One record of the event, explained."""

    found: ExplainedRecord
    asides: Sequence[Aside]
    """Where it waits as an event for all subscriptions, or is undecodable."""
    settled: str
    """Whether workers are done with its record, in a sentence."""
    subscriptions: list[ExplainedSubscription] = field(default_factory=list)
    left_out: int = 0
    """How many subscriptions that ask for its type are not explained."""

    def as_json(self) -> JsonObject:
        """Return it as plain JSON."""
        found, event = self.found, self.found.event
        asides: list[Json] = [each.as_json() for each in self.asides]
        subscriptions: list[Json] = [each.as_json() for each in self.subscriptions]
        document: JsonObject = {
            "place": found.place,
            "appended_at": to_rfc3339(found.at),
            "found_in": found.found_in,
            "problem": found.problem,
            "settled": self.settled,
            "aside": asides,
            "subscriptions": subscriptions,
            "subscriptions_left_out": self.left_out,
        }
        if event is not None:
            document["event"] = {
                "id": event.event_id,
                "type": event.event_type,
                "version": event.version,
                "environment": event.environment,
                "entity_id": event.entity_id,
                "schema": event.schema,
            }
        return document


@dataclass(slots=True)
class Explanation:
    """The answer: each record of the event, and what was searched for it."""

    events: list[ExplainedEvent] = field(default_factory=list)
    searched: Sequence[str] = ()
    left_out: Sequence[str] = ()
    """Sentences about the parts that were not searched."""

    @property
    def is_found(self) -> bool:
        """Whether the event was found."""
        return bool(self.events)

    def as_json(self) -> JsonObject:
        """Return it as plain JSON."""
        events: list[Json] = [each.as_json() for each in self.events]
        searched: list[Json] = [*self.searched]
        left_out: list[Json] = [*self.left_out]
        return {"events": events, "searched": searched, "not_searched": left_out}
