"""A dead letter or an undecodable record becomes a record for `retry.0s`.

If it cannot be redriven, the reason is returned instead.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from hookstream.core.model import header_names as names
from hookstream.core.model.delivery import Delivery, Trigger, UnmatchedEvent
from hookstream.core.model.delivery_headers import (
    is_for_subscription,
    read_delivery,
    read_unmatched,
    tier_headers,
    tier_key,
)
from hookstream.core.model.event import UndecodableReason
from hookstream.core.model.header_reading import HeaderProblem
from hookstream.core.model.instant import Millis
from hookstream.core.model.outcome import DeadReason
from hookstream.core.model.record import Headers, Origin, OutgoingRecord, Record, header_text
from hookstream.core.model.subscription import DEFAULT_EXPIRY
from hookstream.core.redrive.marks import Position


@dataclass(slots=True, frozen=True)
class Unredrivable:
    """A record that cannot be redriven; it stays open."""

    position: Position
    why: str


def position_of(record: Record) -> Position:
    """Return the position of a record within its topic."""
    return Position(record.partition, record.offset)


def redriven(
    headers: Headers, *, now: Millis, expires_after: Millis = DEFAULT_EXPIRY
) -> Delivery | HeaderProblem:
    """Return the delivery of a dead letter for `retry.0s`.

    Its identity, origin, trace, last error and attempt count are kept; the schedule starts at its
    first delay again.

    Args:
        headers: The dead letter's headers.
        now: The present.
        expires_after: How long the delivery may live from now on: the subscription's own value, if
            it is known.
    """
    delivery = read_delivery(headers)
    if isinstance(delivery, HeaderProblem):
        return delivery
    return _reset(replace(delivery, step=0, expires_at=now + expires_after))


_Waiting = TypeVar("_Waiting", Delivery, UnmatchedEvent)


def _reset(waited: _Waiting) -> _Waiting:
    """Return a delivery or event that was never deferred, due at once."""
    return replace(
        waited,
        trigger=Trigger.REDRIVE,
        due_at=None,
        deferrals=0,
        deferred_reason=None,
        deferred_since=None,
    )


@dataclass(slots=True, frozen=True)
class Revival:
    """How the records of one redrive are revived."""

    retry_topic: str
    """The topic `retry.0s`."""
    read_origin: Callable[[Origin], Record | None]
    """Reads the record that an event came from; None if it is no longer in the log."""
    now: Callable[[], Millis]
    expires_after: Callable[[str], Millis | None] = lambda _: None
    """How long deliveries of a subscription may live; None if that is not known."""

    def delivery(self, dead: Record) -> OutgoingRecord | Unredrivable:
        """Return the tier record of a dead letter: its state is reset, its value unchanged."""
        if dead.headers_problem is not None:
            return Unredrivable(position_of(dead), f"it cannot be read: {dead.headers_problem}")
        subscription_id = header_text(dead.headers, names.SUBSCRIPTION_ID) or ""
        expires_after = self.expires_after(subscription_id) or DEFAULT_EXPIRY
        fresh = redriven(dead.headers, now=self.now(), expires_after=expires_after)
        if isinstance(fresh, HeaderProblem):
            return Unredrivable(position_of(dead), f"its headers hold no delivery: {fresh}")
        return self._back(dead, fresh)

    def unmatched(self, undecodable: Record) -> OutgoingRecord | Unredrivable:
        """Return the tier record of an undecodable record: an event to be decoded and matched again."""
        why = _not_an_event(undecodable) or _tombstone(undecodable)
        if why is not None:
            return Unredrivable(position_of(undecodable), why)
        waited = read_unmatched(undecodable.headers)
        if isinstance(waited, HeaderProblem):
            why = f"its headers do not hold its state: {waited}"
            return Unredrivable(position_of(undecodable), why)
        # The grace of an unpublished schema starts again.
        fresh = _reset(replace(waited, first_at=self.now()))
        return self._back(undecodable, fresh)

    def _back(
        self, record: Record, fresh: Delivery | UnmatchedEvent
    ) -> OutgoingRecord | Unredrivable:
        value = record.value if record.value is not None else self._value_at(fresh.origin)
        if value is None:
            origin = fresh.origin
            return Unredrivable(
                position_of(record),
                "it was kept without its value, and"
                f" {origin.topic}-{origin.partition}@{origin.offset} is no longer in the log",
            )
        headers = tier_headers(fresh, record.headers, written_at=self.now())
        return OutgoingRecord(self.retry_topic, tier_key(fresh), value, headers)

    def _value_at(self, origin: Origin) -> bytes | None:
        found = self.read_origin(origin)
        # A topic that was recreated has other records at the same offsets.
        if found is None or found.timestamp != origin.timestamp:
            return None
        return found.value


def _tombstone(undecodable: Record) -> str | None:
    if header_text(undecodable.headers, names.REASON) != UndecodableReason.TOMBSTONE.value:
        return None
    return "the record has no value, so there is no event in it: purge it"


def _not_an_event(undecodable: Record) -> str | None:
    """Return why a record may be a delivery: matched again, it would reach every subscription."""
    if undecodable.headers_problem is not None:
        return f"it cannot be read: {undecodable.headers_problem}"
    if header_text(undecodable.headers, names.REASON) in _STATE_UNREAD:
        return (
            "its headers could not be read, so it is unknown whether it is one partner's delivery"
        )
    if is_for_subscription(undecodable.headers):
        return "it is the delivery of one subscription, whose state could not be read"
    return None


_STATE_UNREAD = (DeadReason.NOT_DECODABLE.value, UndecodableReason.HEADERS_UNREADABLE.value)
"""Reasons of tier records that were set aside because of unreadable headers."""
