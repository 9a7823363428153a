"""JSON Schema and a sample of an event type's bodies, from published schemas or from files."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final, cast
from urllib.parse import quote

from hookstream.adapters.avro.codec import AvroCodec
from hookstream.adapters.avro.examples import sample_record
from hookstream.adapters.avro.published import PublishedSchema
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.avro.nodes import AvroSchema
from hookstream.core.avro.values import NotRenderable
from hookstream.core.catalog.json_schema import batch_schema, cloudevents_schema, standard_schema
from hookstream.core.model.event import Event, Identified
from hookstream.core.model.json import JsonObject
from hookstream.core.model.outcome import Refused
from hookstream.core.model.record import Record
from hookstream.core.model.subscription import BodyFormat, Content
from hookstream.core.model.suggestion import did_you_mean
from hookstream.entry.admin.schema_books import book_of_files
from hookstream.errors import InputRefused


class SampleFormat(StrEnum):
    """The form in which a sample is written."""

    STANDARD = "standard"
    CLOUDEVENTS = "cloudevents"
    INPUT = "input"
    """As `events send` takes it: `standard`, with names of branches where a union needs them."""


_SCHEMAS: Final[Mapping[BodyFormat, Callable[[AvroSchema, Content], JsonObject]]] = {
    BodyFormat.STANDARD: standard_schema,
    BodyFormat.CLOUDEVENTS: cloudevents_schema,
}


class SchemaDocuments:
    """Makes the documents about the schemas of a book."""

    def __init__(self, book: SchemaBook) -> None:
        self._book = book

    @classmethod
    def of_files(cls, folder: Path) -> "SchemaDocuments":
        """Read the schemas of a folder, and hookstream's own, as if they were published.

        Args:
            folder: Holds `<event type>/v<N>.avsc`.

        Raises:
            ConfigurationError: The folder cannot be read, or a schema has a problem.
        """
        book, problems = book_of_files(folder)
        for problem in problems:
            raise InputRefused(f"{problem.where}: {problem.what}")
        return cls(book)

    def json_schema(
        self,
        event_type: str,
        version: int | None,
        body_format: BodyFormat,
        content: Content = Content.FULL,
        *,
        batch: bool = False,
    ) -> JsonObject:
        """Return the JSON Schema of a version's bodies.

        Args:
            event_type: The event type.
            version: The version; None: the newest.
            body_format: `standard` or `cloudevents`.
            content: How much of the event a body contains.
            batch: Whether the bodies are batches of such events.

        Raises:
            InputRefused: There is no such version, or it is not delivered.
        """
        schema = self._found(event_type, version)
        try:
            event = _SCHEMAS[body_format](schema.nodes, content)
        except NotRenderable as problem:
            raise InputRefused(f"{event_type}: {problem}") from None
        return batch_schema(event, body_format) if batch else event

    def sample(self, event_type: str, version: int | None, sample_format: str) -> JsonObject:
        """Return the body of a realistic event of a version, always the same one.

        It is encoded and rendered as an event of a producer is.

        Args:
            event_type: The event type.
            version: The version; None: the newest.
            sample_format: A word of `SampleFormat`.

        Raises:
            InputRefused: There is no such version, or it is not delivered.
        """
        schema = self._found(event_type, version)
        if schema.data is None:
            raise InputRefused(f"{event_type} is no event type: it has no data")
        codec = AvroCodec(self._book)
        record = Record(event_type, 0, 0, 0, None, sample_record(schema), ())
        event = codec.decode(Identified(schema.revision, len(schema.prefix)), record)
        if not isinstance(event, Event):
            raise InputRefused(f"{event_type}: {event.detail}")
        shown = codec.shown if sample_format == SampleFormat.INPUT else codec.document
        document = shown(event, schema.revision.event_version)
        if isinstance(document, Refused):
            raise InputRefused(f"{event_type}: {document.detail}")
        return _cloudevent(document) if sample_format == SampleFormat.CLOUDEVENTS else document

    def _found(self, event_type: str, version: int | None) -> PublishedSchema:
        latest = self._book.latest(event_type)
        if not latest:
            raise no_schema(self._book, event_type)
        wanted = latest if version is None else version
        schema = self._book.reader(event_type, wanted)
        if schema is None:
            raise no_version(self._book, event_type, str(wanted))
        return schema


def no_schema(book: SchemaBook, event_type: str) -> InputRefused:
    """Return the refusal of an event type that has no schema."""
    meant = did_you_mean(event_type, book.event_types())
    return InputRefused(f"there is no schema of {ascii(event_type)[:200]}{meant}")


def no_version(book: SchemaBook, event_type: str, version: str) -> InputRefused:
    """Return the refusal of a version that an event type does not have."""
    versions = ", ".join(map(str, book.versions(event_type)))
    return InputRefused(f"{event_type} has no version {version[:20]}; it has {versions}")


def _cloudevent(document: JsonObject) -> JsonObject:
    """Return a `standard` body as a CloudEvent in structured mode."""
    environment, event_type = cast("str", document["environment"]), cast("str", document["type"])
    return {
        "specversion": "1.0",
        "id": document["id"],
        "source": f"/{quote(environment, safe='')}/{event_type}",
        "type": event_type,
        "subject": document["entity_id"],
        "time": document["timestamp"],
        "datacontenttype": "application/json",
        "environment": environment,
        "dataversion": document["version"],
        "data": document["data"],
    }
