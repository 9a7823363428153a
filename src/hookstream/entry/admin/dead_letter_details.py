"""One dead letter with its event and the history of its delivery."""

from dataclasses import dataclass

from hookstream.core.audit.history import DeliveryHistory
from hookstream.core.model import header_names
from hookstream.core.model.event import Identified, Undecodable, UnknownSchema
from hookstream.core.model.instant import MINUTE, from_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.core.model.outcome import Refused
from hookstream.core.model.record import Record, header_text
from hookstream.core.redrive.ledger import Ledger, ResolvedBy
from hookstream.core.redrive.summary import DeadLetterSummary, summary_of
from hookstream.entry.admin.audit import AuditLog, history_of
from hookstream.entry.admin.dead_letters import DeadLetterReader
from hookstream.entry.admin.event_decoding import EventDecoder

_MAX_RECORD_BYTES = 64 * 1024 * 1024
"""Larger than any setting allows, so that every record can be shown."""


@dataclass(slots=True, frozen=True)
class DeadLetterDetails:
    """All known facts about one record of a dead-letter topic."""

    record: Record
    summary: DeadLetterSummary
    resolved_by: ResolvedBy | None
    """What redrove or purged it; None: it is open."""
    event: JsonObject | str
    """The event as it is delivered, or why it cannot be shown."""
    history: DeliveryHistory | None
    """None if the record names no delivery."""


def event_decoder(reader: DeadLetterReader) -> EventDecoder:
    """Return a decoder of the records of a dead-letter topic."""
    return EventDecoder(reader.settings, _MAX_RECORD_BYTES)


def event_of(decoder: EventDecoder, record: Record) -> JsonObject | str:
    """Return the event of a record as it is delivered, or why it cannot be shown."""
    if record.value is None:
        return "kept by reference: the value is stored at its origin only"
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
        # Another event may have the same id: its attempts do not belong to this record.
        return history.by_origin().get(summary.origin, history)
