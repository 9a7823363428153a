"""The facts of a letter: what its headers say, as far as they can be read.

Parsing is lenient: a letter with broken headers is exactly what a person needs to see.
"""

from dataclasses import dataclass

from hookstream.core.model import header_names as names
from hookstream.core.model.instant import Millis, to_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import Record
from hookstream.core.redrive.marks import Place


@dataclass(slots=True, frozen=True)
class LetterFacts:
    """One letter for lists and summaries; empty text for a missing header."""

    place: Place
    at: Millis
    """When it was appended to its topic."""
    delivery_id: str
    subscription_id: str
    partner_id: str
    event_type: str
    event_id: str
    attempt: str
    reason: str
    detail: str
    last_outcome: str
    last_status: str
    last_error: str
    origin_topic: str
    origin: str
    """`topic-partition@offset`."""
    origin_at: str
    by_reference: bool
    """It was kept without its value, which is only at its origin."""

    @property
    def last(self) -> str:
        """The last attempt's outcome, in few words."""
        return self.last_status or self.last_error or self.last_outcome or "-"

    def as_json(self, resolved_by: str | None) -> JsonObject:
        """Return the facts as plain JSON; null for a missing header.

        Args:
            resolved_by: The job that resolved it; None if it is open.
        """
        document: JsonObject = {"place": str(self.place), "at": to_rfc3339(self.at)}
        for name in _TEXTS:
            document[name] = str(getattr(self, name)) or None
        document["by_reference"] = self.by_reference
        document["open"] = resolved_by is None
        document["resolved_by"] = resolved_by
        return document


_TEXTS = (
    "delivery_id",
    "subscription_id",
    "partner_id",
    "event_type",
    "event_id",
    "attempt",
    "reason",
    "detail",
    "last_outcome",
    "last_status",
    "last_error",
    "origin",
    "origin_at",
)


def facts_of(record: Record) -> LetterFacts:
    """Return the facts from a letter's headers."""
    values = {
        name: value.decode(errors="replace") for name, value in record.headers if value is not None
    }

    def text(name: str) -> str:
        return values.get(name, "")

    topic = text(names.ORIGIN_TOPIC)
    return LetterFacts(
        place=Place(record.partition, record.offset),
        at=record.timestamp,
        delivery_id=text(names.DELIVERY_ID),
        subscription_id=text(names.SUBSCRIPTION_ID),
        partner_id=text(names.PARTNER_ID),
        event_type=text(names.EVENT_TYPE),
        event_id=text(names.EVENT_ID),
        attempt=text(names.ATTEMPT),
        reason=text(names.REASON),
        detail=text(names.CONNECT_MESSAGE),
        last_outcome=text(names.LAST_OUTCOME),
        last_status=text(names.LAST_STATUS),
        last_error=text(names.LAST_ERROR),
        origin_topic=topic,
        origin=topic and f"{topic}-{text(names.ORIGIN_PARTITION)}@{text(names.ORIGIN_OFFSET)}",
        origin_at=_shown(text(names.ORIGIN_TIMESTAMP), text(names.ORIGIN_MILLIS)),
        by_reference=record.value is None,
    )


def _shown(named: str, exact: str) -> str:
    """Return the origin's timestamp; in milliseconds if RFC 3339 cannot express it."""
    return f"{exact} ms" if exact else named
