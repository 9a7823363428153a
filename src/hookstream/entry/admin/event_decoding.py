"""Decodes records with the published schemas, and reads the schemas again for an unknown one."""

from hookstream.adapters.avro.codec import AvroCodec
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.kafka.lookups import LOOKUPS
from hookstream.adapters.kafka.tables.log import read_tables
from hookstream.adapters.kafka.topic_ids import topic_id_of
from hookstream.adapters.system import SystemClock
from hookstream.core.model import header_names
from hookstream.core.model.delivery_headers import read_origin
from hookstream.core.model.event import Event, Identified, Undecodable, UnknownSchema
from hookstream.core.model.json import JsonObject
from hookstream.core.model.mapping import position_id
from hookstream.core.model.outcome import Refused
from hookstream.core.model.record import Origin, Record, header_text
from hookstream.core.model.registered import UnresolvedSchema
from hookstream.entry.cluster import reached
from hookstream.settings import Settings

_REFRESH_SECONDS = 1.0
"""The shortest interval between readings: a topic may have records of unknown schemas only."""


def fill_book(settings: Settings, book: SchemaBook) -> SchemaBook:
    """Read the published schemas into a book; `schemas list` reports the rows that are not used."""
    topic = settings.topics_names.schemas
    for key, row in read_tables(reached(settings), [topic])[topic].items():
        book.put(key, row.value)
    return book


class EventDecoder:
    """Decodes records of any event topic.

    Args:
        settings: The cluster.
        max_record_bytes: The largest value that is decoded.
        book: The schemas, which the caller keeps current; None: the published ones are read here.
    """

    def __init__(
        self, settings: Settings, max_record_bytes: int, book: SchemaBook | None = None
    ) -> None:
        self._settings = settings
        self._follows = book is None
        self.book = SchemaBook() if book is None else book
        self._codec = AvroCodec(
            self.book, max_record_bytes=max_record_bytes, registry_of=settings.registry_of
        )
        self._clock = SystemClock()
        self._read_at = float("-inf")
        self._topic_ids: dict[str, bytes | None] = {}
        if self._follows:
            self._refresh()

    def identify(self, record: Record) -> Identified | UnknownSchema | Undecodable:
        """Return the schema with which a record is written."""
        topic = self._event_topic(record)
        identified = self._codec.identify(record, topic)
        since = self._clock.monotonic() - self._read_at
        unknown = isinstance(identified, UnknownSchema | UnresolvedSchema)
        if self._follows and unknown and since >= _REFRESH_SECONDS:
            self._refresh()
            identified = self._codec.identify(record, topic)
        if isinstance(identified, UnresolvedSchema):
            return UnknownSchema(str(identified.schema), "was not resolved by a worker yet")
        return identified

    def _event_topic(self, record: Record) -> str | None:
        """Return the topic to which a record was first written; None: its own. Upstream's headers prove nothing."""
        names = self._settings.topics_names
        ours = record.topic in (names.dead_letters, names.undecodable)
        if not ours and names.delay_of(record.topic) is None:
            return None
        return header_text(record.headers, header_names.ORIGIN_TOPIC)

    def document(
        self, identified: Identified, record: Record, *, tagged: bool
    ) -> JsonObject | Undecodable | Refused:
        """Return an event as plain JSON.

        Args:
            identified: The answer of `identify`.
            record: The record.
            tagged: True: as `events send` takes it, a union's value with the name of its branch
                where several branches accept it. False: as it is delivered.
        """
        event = self.event(identified, record)
        if isinstance(event, Undecodable):
            return event
        render = self._codec.shown if tagged else self._codec.document
        return render(event, identified.revision.event_version)

    def event(self, identified: Identified, record: Record) -> Event | Undecodable:
        """Return an event decoded, with its position in its event topic as its origin."""
        origin = self.origin(record)
        return self._codec.decode(
            identified, record, origin, self._event_id(identified, record, origin)
        )

    def body(self, event: Event, version: int) -> JsonObject | Refused:
        """Return an event as it is delivered at a version."""
        return self._codec.document(event, version)

    def latest(self, event_type: str) -> int:
        """Return the newest version of a type; 0 if it has none."""
        return self._codec.latest(event_type)

    def origin(self, record: Record) -> Origin:
        """Return an event's position in its event topic."""
        if record.topic.startswith(f"{self._settings.topics.prefix}."):
            return read_origin(record.headers) or record.origin
        return record.origin

    def _event_id(self, identified: Identified, record: Record, origin: Origin) -> str:
        """Return the id of an event whose id is its record's position; empty for any other."""
        if not identified.by_position:
            return ""
        known = header_text(record.headers, header_names.EVENT_ID)
        if known is not None:
            return known
        if origin.topic not in self._topic_ids:
            admin = LOOKUPS.client(reached(self._settings))
            self._topic_ids[origin.topic] = topic_id_of(admin, origin.topic)
        topic_id = self._topic_ids[origin.topic]
        return "" if topic_id is None else position_id(topic_id, origin.partition, origin.offset)

    def _refresh(self) -> None:
        fill_book(self._settings, self.book)
        self._read_at = self._clock.monotonic()
