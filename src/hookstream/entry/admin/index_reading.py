"""Converts each record for the index's writer, and assigns it to a span.

A record belongs to the span of the newest append time that its partition had up to it: that is how the
brokers find the first offset of a time, so a span read again has the same records.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from hookstream.adapters.avro.audit_reader import AuditReader
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.index.aside_file import IndexedAside, Operation
from hookstream.adapters.index.attempt_rows import Indexed
from hookstream.adapters.index.folder import Family
from hookstream.adapters.index.now_file import UNMATCHED, UNREADABLE, Waiting
from hookstream.adapters.index.writer import IndexWriter
from hookstream.core.audit.entry import AuditEntry, EntryProblem
from hookstream.core.audit.run_states import PendingRecord
from hookstream.core.model.delivery import Delivery
from hookstream.core.model.delivery_headers import is_for_subscription, read_delivery
from hookstream.core.model.event import Identified
from hookstream.core.model.instant import Millis
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import Record, TopicPartition
from hookstream.core.model.topics import Topics
from hookstream.core.redrive.marks import RedriveSource
from hookstream.core.redrive.summary import summary_of
from hookstream.entry.admin.event_decoding import EventDecoder, fill_book
from hookstream.settings import Settings

Span: TypeAlias = tuple[Family, Millis]


@dataclass(slots=True)
class SpanBatch:
    """Records of one span that are not written yet."""

    attempts: list[Indexed] = field(default_factory=list)
    waits: list[PendingRecord] = field(default_factory=list)
    aside: list[IndexedAside] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    positions: dict[TopicPartition, int] = field(default_factory=dict)

    @property
    def records(self) -> int:
        """How many there are."""
        return len(self.attempts) + len(self.waits) + len(self.aside) + len(self.operations)


class RecordReader:
    """Reads records of hookstream's topics as the index takes them.

    Args:
        settings: The cluster.

    Raises:
        ConfigurationError: The schemas may not be read.
        DependencyUnavailable: The cluster does not answer.
    """

    def __init__(self, settings: Settings) -> None:
        self.topics: Topics = settings.topics_names
        self._audit = AuditReader(fill_book(settings, SchemaBook()))
        self._events = EventDecoder(settings, settings.events.max_record_bytes)
        self.unreadable = 0
        """Records that could not be read, and are in no list."""
        self.why_unreadable = ""
        """The problem of the last of them."""

    def family_of(self, topic: str) -> Family | None:
        """Return the files in which a topic's records are kept; None: in none."""
        topics = self.topics
        if topic == topics.attempts or topics.delay_of(topic) is not None:
            return Family.ATTEMPTS
        if topic in (topics.dead_letters, topics.undecodable, topics.operations):
            return Family.ASIDE
        return None

    def add(self, record: Record, batch: SpanBatch) -> None:
        """Add a record to its span's batch."""
        topics = self.topics
        if record.topic == topics.attempts:
            entry = self._audit.read(record.value)
            if isinstance(entry, EntryProblem):
                self._unread(record, entry.why)
            else:
                batch.attempts.append(_indexed(record, entry))
        elif record.topic == topics.dead_letters:
            batch.aside.append(IndexedAside(RedriveSource.DEAD_LETTERS, summary_of(record)))
        elif record.topic == topics.undecodable:
            batch.aside.append(IndexedAside(RedriveSource.UNDECODABLE, summary_of(record)))
        elif record.topic == topics.operations:
            operation = self._operation(record)
            if operation is not None:
                batch.operations.append(operation)
        else:
            waiting = waiting_of(record)
            if waiting.pending is not None:
                batch.waits.append(waiting.pending)
        batch.positions[record.where] = record.offset + 1

    def _operation(self, record: Record) -> Operation | None:
        identified = self._events.identify(record)
        if not isinstance(identified, Identified):
            self._unread(record, f"its schema is not known: {identified}")
            return None
        document = self._events.document(identified, record, tagged=False)
        if not isinstance(document, dict):
            self._unread(record, f"it is not an event: {document}")
            return None
        found = document.get("data")
        data: JsonObject = found if isinstance(found, dict) else {}
        return Operation(
            record.timestamp,
            record.partition,
            record.offset,
            identified.revision.event_type,
            str(document.get("id") or document.get("event_id") or ""),
            str(data.get("subscription_id") or ""),
            str(data.get("partner_id") or ""),
            data,
        )

    def _unread(self, record: Record, why: str) -> None:
        self.unreadable += 1
        self.why_unreadable = f"{record.topic}-{record.partition}@{record.offset}: {why}"


def _indexed(record: Record, entry: AuditEntry) -> Indexed:
    return Indexed(record.timestamp, record.partition, record.offset, entry)


def waiting_of(record: Record) -> Waiting:
    """Return a tier record as the index takes it."""
    place = record.topic, record.partition, record.offset
    if record.headers_problem is not None:
        return Waiting(*place, None, UNREADABLE)
    if not is_for_subscription(record.headers):
        return Waiting(*place, None, UNMATCHED)
    delivery = read_delivery(record.headers)
    if not isinstance(delivery, Delivery):
        return Waiting(*place, None, UNREADABLE)
    return Waiting(*place, PendingRecord.of(delivery, record))


def write_batch(writer: IndexWriter, span: Span, batch: SpanBatch, attempts_topic: str) -> None:
    """Write a span's batch.

    Raises:
        ReadAgain: A file was damaged.
    """
    family, start = span
    match family:
        case Family.ATTEMPTS:
            writer.attempts(start, batch.attempts, batch.waits, batch.positions, attempts_topic)
        case Family.ASIDE:
            writer.aside(start, batch.aside, batch.operations, batch.positions)


class SpansOfPartitions:
    """Assigns records to spans, as each partition's records are read in order.

    Args:
        family_of: Which files a topic's records are kept in.
        starts: The start of the present span of each family.
    """

    def __init__(self, reader: RecordReader, starts: Mapping[Family, Millis]) -> None:
        self._reader = reader
        self._starts = dict(starts)
        self._spans: dict[TopicPartition, Span] = {}

    def of(self, record: Record) -> Span | None:
        """Return a record's span; None: it is kept in no span's file."""
        family = self._reader.family_of(record.topic)
        if family is None:
            return None
        start = family.start_of(record.timestamp)
        before = self._spans.get(record.where, (family, self._starts[family]))[1]
        span = self._spans[record.where] = family, max(start, before)
        return span

    def at(self, partition: TopicPartition) -> Millis | None:
        """Return the start of the span that a partition has reached; None: nothing was read of it."""
        found = self._spans.get(partition)
        return None if found is None else found[1]


def spans_in_order(batches: Iterable[Span]) -> list[Span]:
    """Return spans in the order in which they are written: the oldest first."""
    return sorted(batches, key=lambda span: (span[1], span[0].prefix))
