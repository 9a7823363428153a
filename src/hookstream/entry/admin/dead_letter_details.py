"""Reads the details of one dead letter or undecodable record: its event, and the history of its delivery."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from hookstream.core.audit.history import DeliveryHistory
from hookstream.core.model import header_names
from hookstream.core.model.event import (
    Identified,
    Undecodable,
    UndecodableReason,
    UnknownSchema,
)
from hookstream.core.model.instant import MINUTE, from_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.core.model.outcome import Refused
from hookstream.core.model.record import Record, header_text
from hookstream.core.redrive.ledger import Ledger, ResolvedBy
from hookstream.core.redrive.marks import Position, read_position
from hookstream.core.redrive.summary import DeadLetterSummary, summary_of
from hookstream.entry.admin.audit import AuditLog, history_of
from hookstream.entry.admin.dead_letters import DeadLetterReader
from hookstream.entry.admin.event_decoding import EventDecoder
from hookstream.entry.admin.granted_events import GrantedEvents
from hookstream.errors import InputRefused

_PLACE: Final = re.compile(r"(?:(?P<topic>[^@]+)-)?(?P<position>[0-9]+@[0-9]+)")
_MAX_RECORD_BYTES = 64 * 1024 * 1024
"""Larger than any setting allows, so that every record can be shown."""


@dataclass(slots=True, frozen=True)
class DeadLetterDetails:
    """All known facts about one record of a dead-letter topic."""

    record: Record
    summary: DeadLetterSummary
    resolved_by: ResolvedBy | None
    """The job that redrove or purged it; None: it is open."""
    event: JsonObject | str
    """The event as it is delivered, or why it cannot be shown."""
    history: DeliveryHistory | None
    """None if the record names no delivery."""


@dataclass(slots=True, frozen=True)
class SetAsideRecord:
    """A record at its position, with the facts that the index does not have."""

    record: Record
    resolved_by: ResolvedBy | None
    event: JsonObject | str
    """As it is delivered to its reader; or why it cannot be shown."""
    unreadable_marks: Sequence[str] = ()
    """Unreadable marks: because of them, a record that is shown as open may have been redriven or purged."""

    def details(self, history: DeliveryHistory | None) -> DeadLetterDetails:
        """Return the details with the history of the delivery; None: the record names no delivery."""
        summary = summary_of(self.record)
        return DeadLetterDetails(self.record, summary, self.resolved_by, self.event, history)


def position_in(text: str, topic: str) -> Position | None:
    """Return the position that `3@1042` or `topic-3@1042` names; None: the text names none.

    Raises:
        InputRefused: It is a position in another topic.
    """
    found = _PLACE.fullmatch(text)
    position = None if found is None else read_position(found["position"])
    if found is None or position is None:
        return None
    if found["topic"] not in (None, topic):
        raise InputRefused(f"{text} is a place in another topic, not in {topic}")
    return position


def set_aside_at(
    reader: DeadLetterReader, positions: Sequence[Position], granted: GrantedEvents | None
) -> list[SetAsideRecord]:
    """Return the records at positions, without those that the log does not have.

    Args:
        reader: Reads the topic.
        positions: The positions.
        granted: Shows an event to its partner; None: they are read for an operator.

    Raises:
        DependencyUnavailable: The brokers do not answer.
    """
    records = [found for each in positions if (found := reader.at(each)) is not None]
    if not records:
        return []
    # There are many marks: they are read once for all records.
    ledger, problems = reader.read_ledger()
    marks = [f"{problem.key}: {problem.why}" for problem in problems]
    shown = partial(event_of, event_decoder(reader)) if granted is None else granted.shown
    return [
        SetAsideRecord(
            record,
            ledger.resolved_by(reader.source, Position(record.partition, record.offset)),
            shown(record),
            marks,
        )
        for record in records
    ]


def header_value(value: bytes | None) -> str:
    """Return a header as text, or its bytes in hex if it is not text."""
    if value is None:
        return "(null)"
    try:
        return value.decode()
    except UnicodeDecodeError:
        return f"0x{value.hex()}"


def of_event(history: DeliveryHistory, origin: str) -> DeliveryHistory:
    """Return the part of a delivery's history that belongs to one event: another event may have the same id."""
    return history.by_origin().get(origin, history)


def event_decoder(reader: DeadLetterReader) -> EventDecoder:
    """Return a decoder of the records of a dead-letter topic."""
    return EventDecoder(reader.settings, _MAX_RECORD_BYTES)


def event_of(decoder: EventDecoder, record: Record) -> JsonObject | str:
    """Return the event of a record as it is delivered, or why it cannot be shown."""
    if header_text(record.headers, header_names.REASON) == UndecodableReason.TOMBSTONE.value:
        return "a tombstone: the record has no value, so there is no event in it"
    if record.value is None:
        return "stored by reference: only its origin has the value"
    identified = decoder.identify(record)
    match identified:
        case Undecodable(detail=detail):
            return detail
        case UnknownSchema(schema, why):
            return f"its schema {schema} {why}"
        case Identified():
            document = decoder.document(identified, record, tagged=False)
            return document.detail if isinstance(document, Undecodable | Refused) else document


class DetailsReader:
    """Reads details of records of one dead-letter topic.

    Args:
        reader: Reads the topic.
        ledger: Which of its records are redriven.
        audit: Reads the attempts.
    """

    def __init__(self, reader: DeadLetterReader, ledger: Ledger, audit: AuditLog) -> None:
        self._reader = reader
        self._ledger = ledger
        self._audit = audit
        self._decoder = event_decoder(reader)

    def of(self, record: Record) -> DeadLetterDetails:
        """Return the details of one record."""
        summary = summary_of(record)
        return DeadLetterDetails(
            record,
            summary,
            self._ledger.resolved_by(self._reader.source, summary.position),
            event_of(self._decoder, record),
            self._history(summary, record) if summary.delivery_id else None,
        )

    def _history(self, summary: DeadLetterSummary, record: Record) -> DeliveryHistory:
        """Read the history since the match, whose time is in a header: the audit log is long."""
        first_at = header_text(record.headers, header_names.FIRST_AT)
        try:
            since = None if first_at is None else from_rfc3339(first_at) - MINUTE
        except ValueError:
            since = None
        history = history_of(self._audit, self._reader, summary.delivery_id, since)
        return of_event(history, summary.origin)
