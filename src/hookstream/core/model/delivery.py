"""A delivery is one event for one subscription, its whole life; its state travels in record headers."""

from dataclasses import dataclass
from enum import StrEnum

from hookstream.core.model.instant import Millis
from hookstream.core.model.record import Origin


class Trigger(StrEnum):
    """Why an attempt was made."""

    INITIAL = "initial"
    RETRY = "retry"
    REDRIVE = "redrive"
    REPLAY = "replay"
    TEST = "test"


class DeferReason(StrEnum):
    """Why a delivery went back to a tier without an attempt having been made."""

    LANE_FULL = "lane_full"
    RATE_LIMITED = "rate_limited"
    THROTTLED = "throttled"
    BREAKER_OPEN = "breaker_open"
    PAUSED = "paused"
    HELD = "held"
    SUBSCRIPTION_ABSENT = "subscription_absent"
    SUBSCRIPTION_UNREADABLE = "subscription_unreadable"
    SCHEMA_UNKNOWN = "schema_unknown"
    NOT_DUE = "not_due"
    """A hop down: more of the wait remains than the tier just left could hold."""


OUR_OWN_REASONS = frozenset(
    {
        DeferReason.PAUSED,
        DeferReason.HELD,
        DeferReason.SUBSCRIPTION_ABSENT,
        DeferReason.SUBSCRIPTION_UNREADABLE,
    }
)
"""Waits that are not the endpoint's doing: they do not age a delivery."""


SLOT_REASONS = frozenset(
    {
        DeferReason.LANE_FULL,
        DeferReason.RATE_LIMITED,
        DeferReason.THROTTLED,
        DeferReason.BREAKER_OPEN,
    }
)
"""Waits for a slot of a lane: the due time is not the delivery's own, and may be come before."""

BOOKED_REASONS = frozenset({DeferReason.LANE_FULL, DeferReason.RATE_LIMITED})
"""Of these, the slots that were handed out one after another: the next comes after the last."""


@dataclass(slots=True)
class Delivery:
    """The state of one delivery. Mutable: the stage that holds it is its one owner."""

    delivery_id: str
    subscription_id: str
    partner_id: str
    event_type: str
    event_id: str
    origin: Origin
    first_at: Millis
    """When it was matched."""
    expires_at: Millis
    attempt: int = 0
    """Attempts made so far."""
    step: int = 0
    """Index of the next delay in the subscription's schedule."""
    trigger: Trigger = Trigger.INITIAL
    """Why the next attempt is made."""
    due_at: Millis | None = None
    """The final due time, jitter included; None: due where it stands."""
    deferrals: int = 0
    """Deferrals since the last attempt."""
    deferred_reason: DeferReason | None = None
    deferred_since: Millis | None = None
    """Start of the present, unbroken wait for `deferred_reason`."""
    last_outcome: str | None = None
    last_status: int | None = None
    last_error: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None
    filter_asked: bool = True
    """False: the subscription could not be read at the match, so its filter is still to be asked."""

    @property
    def has_slot(self) -> bool:
        """Whether it waits for a slot of its lane, which takes it early where it can."""
        return self.deferred_reason in SLOT_REASONS


@dataclass(slots=True)
class UnmatchedEvent:
    """A record that waits in a tier to be identified and matched (again): no subscription yet."""

    origin: Origin
    first_at: Millis
    """When it was first put into a tier."""
    due_at: Millis | None = None
    deferrals: int = 0
    deferred_reason: DeferReason | None = None
    deferred_since: Millis | None = None
    trigger: Trigger = Trigger.INITIAL
    traceparent: str | None = None
    tracestate: str | None = None
