"""The tier records with which a job begins a run of a delivery: a replay, a resend or a test.

Each is written into `retry.0s`, and is an ordinary delivery from there on. A run has attempts, a
schedule and an expiry of its own, counted from the instant at which it was written.
"""

from dataclasses import dataclass
from typing import TypedDict

from hookstream.core.model import header_names as names
from hookstream.core.model.delivery import Delivery, OnlyFor, Trigger, UnmatchedEvent
from hookstream.core.model.delivery_headers import tier_headers, tier_key
from hookstream.core.model.event import Event
from hookstream.core.model.header_reading import is_job
from hookstream.core.model.instant import MINUTE, Millis
from hookstream.core.model.record import Headers, Origin, OutgoingRecord, Record, header_text
from hookstream.core.model.subscription import (
    Subscription,
    UnreadableSubscription,
    expiry_of,
)
from hookstream.errors import InvariantBroken

TEST_EXPIRES_AFTER: Millis = MINUTE
"""How long a test may wait for its attempt. One that is older is not sent: whoever asked has left."""

TEST_ENVIRONMENT = "test"
"""The environment in the signed body of a test, so that a receiver for another one drops it."""

TEST_EVENT_ID = "test-"
"""What the event id of a test begins with."""


@dataclass(slots=True, frozen=True)
class Run:
    """One job's runs of the deliveries of one subscription."""

    retry_topic: str
    """The topic `retry.0s`."""
    job: str
    """The job's id (`core.model.header_reading.is_job`)."""
    as_granted_today: bool = False
    """Whether only today's grant is asked, not the one in force at each event's time."""

    def __post_init__(self) -> None:
        """Refuse a job whose records no worker would read.

        Raises:
            InvariantBroken: The job's id cannot be a header's value.
        """
        if not is_job(self.job):
            raise InvariantBroken(f"{self.job!r} cannot be the id of a job")

    def replayed(
        self,
        event: Event,
        delivery_id: str,
        subscription: Subscription | UnreadableSubscription,
        *,
        now: Millis,
        filter_asked: bool = True,
    ) -> OutgoingRecord:
        """Return the tier record that begins a replay's or resend's run of a delivery.

        Args:
            event: The event; its record, which has a value, is that of its event topic.
            delivery_id: As `core.delivery.identity` computes it: the same as in every other run.
            subscription: Whom it is for, as the table has it.
            now: The present, by the brokers' clock: schedule and expiry count from it.
            filter_asked: False: the worker evaluates the filter (it could not be read, or not be
                evaluated).
        """
        delivery = Delivery(
            delivery_id=delivery_id,
            subscription_id=subscription.id,
            partner_id=subscription.partner_id,
            event_type=event.event_type,
            event_id=event.event_id,
            origin=event.origin,
            first_at=now,
            expires_at=now + expiry_of(subscription),
            trigger=Trigger.REPLAY,
            **_trace(event.record.headers),
            filter_asked=filter_asked and isinstance(subscription, Subscription),
            job=self.job,
            as_granted_today=self.as_granted_today,
        )
        return self._record(delivery, event.record.value, event.record.headers, now)

    def resent(
        self, delivery: Delivery, record: Record, *, now: Millis, expires_after: Millis
    ) -> OutgoingRecord:
        """Return the tier record that begins a run of a delivery that a tier or a dead letter still has.

        Args:
            delivery: Its state in another run, of which nothing but its identity and trace is kept.
            record: The record that has it, with a value.
            now: The present, by the brokers' clock.
            expires_after: How long it may live from then on.
        """
        fresh = Delivery(
            delivery_id=delivery.delivery_id,
            subscription_id=delivery.subscription_id,
            partner_id=delivery.partner_id,
            event_type=delivery.event_type,
            event_id=delivery.event_id,
            origin=delivery.origin,
            first_at=now,
            expires_at=now + expires_after,
            trigger=Trigger.REPLAY,
            traceparent=delivery.traceparent,
            tracestate=delivery.tracestate,
            filter_asked=delivery.filter_asked,
            job=self.job,
            as_granted_today=self.as_granted_today,
        )
        return self._record(fresh, record.value, record.headers, now)

    def unidentified(
        self,
        record: Record,
        origin: Origin,
        subscription: Subscription | UnreadableSubscription,
        *,
        now: Millis,
    ) -> OutgoingRecord:
        """Return the tier record of an event whose schema is unknown so far.

        When the schema comes, it is matched for that one subscription, and its delivery belongs to
        this run. Whether the subscription was active at the event's time is not asked. The grace of
        an unpublished schema counts from `now`.
        """
        only = OnlyFor(subscription.id, subscription.partner_id, self.job, self.as_granted_today)
        event = UnmatchedEvent(
            origin, first_at=now, trigger=Trigger.REPLAY, only=only, **_trace(record.headers)
        )
        return self._record(event, record.value, record.headers, now)

    def tested(
        self,
        value: bytes,
        headers: Headers,
        event_type: str,
        event_id: str,
        delivery_id: str,
        subscription: Subscription | UnreadableSubscription,
        *,
        now: Millis,
    ) -> OutgoingRecord:
        """Return the tier record of a test, which has one attempt and is never dead-lettered.

        It comes from no record: its origin is the tier, at no offset in particular.

        Args:
            value: The event, whose envelope says `TEST_ENVIRONMENT`.
            headers: Those without which it cannot be decoded.
            event_type: Its type.
            event_id: Its id, which begins with `TEST_EVENT_ID`.
            delivery_id: As `core.delivery.identity` computes it.
            subscription: Whom it is for.
            now: The present, by the brokers' clock.

        Raises:
            InvariantBroken: The event's id is not that of a test.
        """
        if not event_id.startswith(TEST_EVENT_ID):
            raise InvariantBroken(f"the event {event_id!r} is sent as a test, and is none")
        delivery = Delivery(
            delivery_id=delivery_id,
            subscription_id=subscription.id,
            partner_id=subscription.partner_id,
            event_type=event_type,
            event_id=event_id,
            origin=Origin(self.retry_topic, 0, 0, now),
            first_at=now,
            expires_at=now + TEST_EXPIRES_AFTER,
            trigger=Trigger.TEST,
            job=self.job,
        )
        return self._record(delivery, value, headers, now)

    def _record(
        self, state: Delivery | UnmatchedEvent, value: bytes | None, headers: Headers, now: Millis
    ) -> OutgoingRecord:
        written = tier_headers(state, headers, written_at=now)
        return OutgoingRecord(self.retry_topic, tier_key(state), value, written)


class _Trace(TypedDict):
    traceparent: str | None
    tracestate: str | None


def _trace(headers: Headers) -> _Trace:
    """Return the trace that the event came with: all of its runs belong to it."""
    return {
        "traceparent": header_text(headers, names.TRACEPARENT),
        "tracestate": header_text(headers, names.TRACESTATE),
    }
