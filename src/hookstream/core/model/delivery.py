"""A delivery is one event for one subscription. Record headers carry its state."""

from dataclasses import dataclass
from enum import StrEnum

from hookstream.core.model.instant import Millis
from hookstream.core.model.record import Origin


class Trigger(StrEnum):
    """Why an attempt is made."""

    INITIAL = "initial"
    RETRY = "retry"
    REDRIVE = "redrive"
    REPLAY = "replay"
    TEST = "test"


class DeferReason(StrEnum):
    """Why a delivery was written to a tier without an attempt."""

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
    """A hop: more of the wait remains than the previous tier could hold."""


OUR_OWN_REASONS = frozenset(
    {
        DeferReason.PAUSED,
        DeferReason.HELD,
        DeferReason.SUBSCRIPTION_ABSENT,
        DeferReason.SUBSCRIPTION_UNREADABLE,
    }
)
"""Waits that the endpoint did not cause: they do not count towards expiry."""


BOOKED_REASONS = frozenset({DeferReason.LANE_FULL, DeferReason.RATE_LIMITED})
"""The reasons whose slots are reserved one after another, each behind the last."""

SLOT_REASONS = BOOKED_REASONS | {DeferReason.THROTTLED, DeferReason.BREAKER_OPEN}
"""Waits for lane capacity. The due time is a reservation; the delivery may run earlier."""


@dataclass(slots=True)
class Delivery:
    """The state of one delivery. Mutable: only the stage that has it changes it."""

    delivery_id: str
    subscription_id: str
    partner_id: str
    event_type: str
    event_id: str
    origin: Origin
    first_at: Millis
    """When the event was matched; of a job's run, when that began."""
    expires_at: Millis
    attempt: int = 0
    """Attempts made so far."""
    step: int = 0
    """Index of the next delay in the subscription's schedule."""
    trigger: Trigger = Trigger.INITIAL
    """Why the next attempt is made."""
    due_at: Millis | None = None
    """The final due time, jitter included; None: due at once."""
    deferrals: int = 0
    """Deferrals since the last attempt."""
    deferred_reason: DeferReason | None = None
    deferred_since: Millis | None = None
    """Start of the present uninterrupted wait for `deferred_reason`."""
    last_outcome: str | None = None
    last_status: int | None = None
    last_error: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None
    filter_asked: bool = True
    """False: the subscription was unreadable at matching, so its filter must still be evaluated."""
    job: str | None = None
    """The job whose run this is: a replay, a resend or a test. None: its first run, including redrives."""
    as_granted_today: bool = False
    """Whether only today's grant is checked, not the one in force at the event's time. Only for a job's run."""

    @property
    def is_background(self) -> bool:
        """Whether it goes behind the other deliveries of its lane: it belongs to a replay's or resend's run."""
        return self.job is not None and self.trigger is not Trigger.TEST

    @property
    def has_slot(self) -> bool:
        """Whether it waits for a slot of its lane, which may take it earlier."""
        return self.deferred_reason in SLOT_REASONS


@dataclass(slots=True, frozen=True)
class OnlyFor:
    """The one subscription that a replayed event is for, and the run that its delivery belongs to."""

    subscription_id: str
    partner_id: str
    job: str
    as_granted_today: bool = False


@dataclass(slots=True)
class UnmatchedEvent:
    """A record in a tier that is still to be decoded and matched; it has no subscription yet."""

    origin: Origin
    first_at: Millis
    """When it was first written to a tier."""
    due_at: Millis | None = None
    deferrals: int = 0
    deferred_reason: DeferReason | None = None
    deferred_since: Millis | None = None
    trigger: Trigger = Trigger.INITIAL
    traceparent: str | None = None
    tracestate: str | None = None
    undecodable_as: str | None = None
    """The reason with which it was undecodable before it was redriven; None: it never was."""
    only: OnlyFor | None = None
    """Whom it is for, as a replay wrote it; None: for every subscription that matches it."""

    @property
    def job(self) -> str | None:
        """The job whose run its delivery belongs to; None: the first life of all its deliveries."""
        return None if self.only is None else self.only.job
