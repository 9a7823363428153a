"""A letter becomes a record for `retry.0s`, or the reason why it cannot be redriven."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from hookstream.core.model import delivery_headers as letter
from hookstream.core.model import header_names as names
from hookstream.core.model.delivery import Delivery, Trigger, UnmatchedEvent
from hookstream.core.model.event import UndecodableReason
from hookstream.core.model.header_reading import LetterProblem
from hookstream.core.model.instant import Millis
from hookstream.core.model.outcome import DeadReason
from hookstream.core.model.record import Origin, OutgoingRecord, Record, header_text
from hookstream.core.model.subscription import DEFAULT_EXPIRY
from hookstream.core.redrive.marks import Place
from hookstream.core.redrive.selector import redriven


@dataclass(slots=True, frozen=True)
class Unredrivable:
    """A letter that cannot be redriven; it stays open."""

    place: Place
    why: str


def place_of(record: Record) -> Place:
    """Return a letter's position in its topic."""
    return Place(record.partition, record.offset)


@dataclass(slots=True, frozen=True)
class Revival:
    """How letters of both topics are revived in one redrive."""

    door: str
    """The topic `retry.0s`."""
    read_origin: Callable[[Origin], Record | None]
    """Reads the record that an event came from; None if it is no longer in the log."""
    now: Callable[[], Millis]
    expires_after: Callable[[str], Millis | None] = lambda _: None
    """How long deliveries of a subscription may live; None if that is not known."""

    def delivery(self, dead: Record) -> OutgoingRecord | Unredrivable:
        """Return the tier record of a dead letter: its state is reset, its value unchanged."""
        if dead.headers_problem is not None:
            return Unredrivable(place_of(dead), f"it cannot be read: {dead.headers_problem}")
        subscription_id = header_text(dead.headers, names.SUBSCRIPTION_ID) or ""
        expires_after = self.expires_after(subscription_id) or DEFAULT_EXPIRY
        fresh = redriven(dead.headers, now=self.now(), expires_after=expires_after)
        if isinstance(fresh, LetterProblem):
            return Unredrivable(place_of(dead), f"its headers are not a delivery's: {fresh}")
        return self._back(dead, fresh, fresh.delivery_id)

    def unmatched(self, undecodable: Record) -> OutgoingRecord | Unredrivable:
        """Return the tier record of an undecodable record: an event to be decoded and matched again."""
        why = _not_an_event(undecodable)
        if why is not None:
            return Unredrivable(place_of(undecodable), why)
        waited = letter.read_unmatched(undecodable.headers)
        if isinstance(waited, LetterProblem):
            return Unredrivable(
                place_of(undecodable), f"its state cannot be read from its headers: {waited}"
            )
        fresh = replace(
            waited,
            # The grace of an unpublished schema starts again.
            first_at=self.now(),
            trigger=Trigger.REDRIVE,
            due_at=None,
            deferrals=0,
            deferred_reason=None,
            deferred_since=None,
        )
        origin = fresh.origin
        return self._back(undecodable, fresh, f"{origin.topic}/{origin.partition}/{origin.offset}")

    def _back(
        self, record: Record, fresh: Delivery | UnmatchedEvent, key: str
    ) -> OutgoingRecord | Unredrivable:
        value = record.value
        if value is None:
            value = self._value_at(fresh.origin)
        if value is None:
            origin = fresh.origin
            return Unredrivable(
                place_of(record),
                "it was kept without its value, and"
                f" {origin.topic}-{origin.partition}@{origin.offset} is no longer in the log",
            )
        headers = letter.tier_headers(fresh, record.headers, written_at=self.now())
        return OutgoingRecord(self.door, key.encode(), value, headers)

    def _value_at(self, origin: Origin) -> bytes | None:
        found = self.read_origin(origin)
        # A topic that was recreated has other records at the same offsets.
        if found is None or found.timestamp != origin.timestamp:
            return None
        return found.value


def _not_an_event(undecodable: Record) -> str | None:
    """Return why a record may be a delivery: matched again, it would reach every subscription."""
    if undecodable.headers_problem is not None:
        return f"it cannot be read: {undecodable.headers_problem}"
    if header_text(undecodable.headers, names.REASON) in _NOT_TOLD:
        return (
            "its headers could not be read, so it is unknown whether it is one partner's delivery"
        )
    if letter.is_for_subscription(undecodable.headers):
        return "it is the delivery of one subscription, whose state could not be read"
    return None


_NOT_TOLD = (DeadReason.NOT_DECODABLE.value, UndecodableReason.HEADERS_UNREADABLE.value)
