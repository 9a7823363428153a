"""Decodes Avro records into events, and renders events as documents of a requested version.

Records are decoded without logical types: the conversions cost more than the decoding, and rendering
turns the raw values into text anyway. Only data of schemas is cached between events.
"""

import contextlib
import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache, partial
from typing import cast

import orjson
from fastavro import schemaless_reader

from hookstream.adapters.avro.accelerator import Implementation, implementation
from hookstream.adapters.avro.framing import (
    Identification,
    RegistryOf,
    SchemaNames,
    no_registry,
)
from hookstream.adapters.avro.native import ReadersDiffer
from hookstream.adapters.avro.native_reader import MOST_COMPILED, NativeReader
from hookstream.adapters.avro.published import ParsedSchema, PublishedSchema
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.avro.scan import Malformed, TooMuch, ValueCount, holds_more
from hookstream.adapters.avro.shown import compile_shown
from hookstream.core.avro.render import NotRenderable, compile_value
from hookstream.core.avro.standard_body import standard_document
from hookstream.core.catalog.compatibility import vanished
from hookstream.core.catalog.promotion import ValueUnresolvable
from hookstream.core.catalog.resolution import Resolution, resolution
from hookstream.core.model.envelope import open_envelope
from hookstream.core.model.event import (
    LARGE,
    Event,
    Identified,
    Revision,
    Undecodable,
    UndecodableReason,
)
from hookstream.core.model.json import Json, JsonObject, Paths
from hookstream.core.model.outcome import RefusalReason, Refused
from hookstream.core.model.record import Origin, Record

DEFAULT_MAX_RECORD_BYTES = 1 << 20
DEFAULT_MAX_VALUES = 25_000
"""The library decodes this number in 10 to 30 ms, during which no other thread runs."""

_BYTES_A_VALUE = 32
"""Bytes of a record that cost as much as one value, since texts are checked, copied and escaped."""

_TYPICAL_PROBLEMS: dict[type[Exception], str] = {
    EOFError: "the record ends before its last field does",
    KeyError: "a union or enum names a branch that its schema does not have",
    UnicodeDecodeError: "a string is not UTF-8",
}


class AvroCodec:
    """The `Codec` on the schemas of a book."""

    def __init__(
        self,
        book: SchemaBook,
        *,
        max_record_bytes: int = DEFAULT_MAX_RECORD_BYTES,
        max_values: int = DEFAULT_MAX_VALUES,
        registry_of: RegistryOf = no_registry,
        reads_by: Implementation | None = None,
    ) -> None:
        """Take the book, and the largest value that is decoded, in bytes.

        A record of more than `max_values` values is not decoded; resolving it to another version
        does not exceed that number either. `reads_by`: The implementation; None: the one that the environment selects.

        Raises:
            ConfigurationError: The environment requires an accelerator that cannot be used.
        """
        module = (implementation() if reads_by is None else reads_by).module
        self._book = book
        self._max_values = max_values
        self._max_record_bytes = max_record_bytes
        self._names = SchemaNames(book, registry_of)
        self._renderer = lru_cache(MOST_COMPILED)(compile_value)
        self._resolution = lru_cache(MOST_COMPILED)(_resolution)
        self._show = lru_cache(MOST_COMPILED)(partial(_show, most=max_values))
        self._native = NativeReader(
            module, book, _sound, self._renderer, self._resolution, max_values
        )

    def identify(self, record: Record, topic: str | None = None) -> Identification:
        """See `Codec.identify`."""
        value = record.value
        if value is None:
            return Undecodable(UndecodableReason.TOMBSTONE, "the record has no value")
        if len(value) > self._max_record_bytes:
            return Undecodable(
                UndecodableReason.TOO_LARGE,
                f"the value has {len(value)} bytes, at most {self._max_record_bytes} are accepted",
            )
        return self._names.identify(record, value, record.topic if topic is None else topic)

    def decode(
        self,
        identified: Identified,
        record: Record,
        origin: Origin | None = None,
        event_id: str = "",
    ) -> Event | Undecodable:
        """See `Codec.decode`."""
        schema, value = self._book.schema(identified.revision), record.value
        if schema is None or value is None:
            return _removed(identified.revision)
        origin = record.origin if origin is None else origin
        event = self._native.decode(schema, identified, record, value, origin, event_id)
        if event is not None:
            return event
        fields = self._fields(schema, value, identified.body_at)
        if isinstance(fields, Undecodable):
            return fields
        if schema.envelope is None:
            envelope = open_envelope(fields)
        else:
            time = origin.timestamp
            envelope = schema.envelope.read(fields, record.headers, time, event_id)
            fields = {"data": fields}
        if isinstance(envelope, Undecodable):
            return envelope
        return Event(
            identified.revision,
            envelope.event_id,
            envelope.occurred_at,
            envelope.entity_id,
            envelope.environment,
            fields,
            record,
            origin,
            body_at=identified.body_at,
        )

    def load(self, identified: Identified, record: Record) -> int:
        """See `Codec.load`: by the record's size, or, if that allows many values, by counting them."""
        schema, value = self._book.schema(identified.revision), record.value
        if schema is None or value is None:
            return 0
        most = _could_hold(value, identified.body_at, schema)
        if most > LARGE:
            with contextlib.suppress(Malformed):
                if not holds_more(schema.walk, value, identified.body_at, LARGE):
                    most = LARGE
        return max(most, len(value) // _BYTES_A_VALUE)

    def counted(self, event: Event) -> int:
        """As Codec says."""
        schema, value = self._book.schema(event.revision), event.record.value
        if schema is None or value is None:
            return event.load
        count = ValueCount(event.load)
        # The record was decoded, so its bytes are sound; the count ends at the bound in any case.
        with contextlib.suppress(Malformed, TooMuch, IndexError):
            schema.walk(value, event.body_at, count)
        return max(count.values, len(value) // _BYTES_A_VALUE)

    def load_at(self, event: Event, version: int) -> int:
        """See `Codec.load_at`: for another version, values filled in by defaults count too."""
        reader = self._book.reader(event.revision.event_type, version)
        writer = self._book.schema(event.revision)
        if reader is None or writer is None or reader.revision == event.revision:
            return event.load
        return event.load * (1 + self._resolution(writer, reader).fills)

    def fields(self, identified: Identified, record: Record) -> dict[str, object] | Undecodable:
        """Decode a record without checking its envelope, unless it has too many values."""
        schema, value = self._book.schema(identified.revision), record.value
        if schema is None or value is None:
            return _removed(identified.revision)
        return self._fields(schema, value, identified.body_at)

    def _fields(
        self, schema: PublishedSchema, value: bytes, body_at: int
    ) -> dict[str, object] | Undecodable:
        most = self._max_values
        try:
            if _could_hold(value, body_at, schema) > most and holds_more(
                schema.walk, value, body_at, most
            ):
                return Undecodable(
                    UndecodableReason.TOO_LARGE,
                    f"the record has more than {most:,} values in {len(value):,} bytes"
                    " (events.max_values)",
                )
        except Malformed as problem:
            return Undecodable(UndecodableReason.MALFORMED, str(problem))
        return read_body(value, body_at, schema.guarded, branch_names=schema.branch_names)

    def latest(self, event_type: str) -> int:
        """Return the newest published version of a type, 0 if there is none."""
        return self._book.latest(event_type)

    def document(self, event: Event, version: int) -> JsonObject | Refused:
        """Return the `standard` body of the event at a version, as plain JSON."""
        reader = self._book.reader(event.revision.event_type, version)
        if reader is None:
            return _unresolvable(event, version, "that version was never published")
        if reader.data is None:
            return _unresolvable(event, version, "the schema of that version has no data")
        body = self._native.body(event, reader)
        if body is not None:
            return cast("JsonObject", orjson.loads(body))
        data: object
        if reader.revision == event.revision:
            data = event.fields["data"]
        else:
            resolved = self._resolve(event, reader)
            if isinstance(resolved, str):
                return _unresolvable(event, version, resolved)
            data = resolved["data"]
        try:
            return standard_document(event, version, self._renderer(reader.data)(data))
        except NotRenderable as problem:
            return Refused(RefusalReason.NOT_RENDERABLE, str(problem.within("data")))

    def body(self, event: Event, version: int) -> bytes | None:
        """See `Codec.body`: the accelerator renders it."""
        reader = self._book.reader(event.revision.event_type, version)
        return None if reader is None else self._native.body(event, reader)

    def excerpt(self, event: Event, version: int, paths: Paths) -> JsonObject | None:
        """See `Codec.excerpt`: the accelerator picks it."""
        reader = self._book.reader(event.revision.event_type, version)
        return None if reader is None else self._native.excerpt(event, reader, paths)

    def shown(self, event: Event, version: int) -> JsonObject | Refused:
        """Return the `standard` body in the form that input accepts: for tools that show events.

        It differs from `document` if several branches of a union accept a value: the value then has
        the name of its branch.
        """
        document = self.document(event, version)
        reader = self._book.reader(event.revision.event_type, version)
        writer = self._book.schema(event.revision)
        if isinstance(document, Refused) or reader is None or writer is None:
            return document
        fields = _tagged(event, writer)
        if isinstance(fields, Undecodable):
            return _unresolvable(event, version, fields.detail)
        try:
            return {**document, "data": self._show(writer, reader)(fields)}
        except NotRenderable as problem:
            return Refused(RefusalReason.NOT_RENDERABLE, str(problem.within("data")))

    def encode(self, value: Json) -> bytes:
        """Return the JSON text of a value as UTF-8 bytes, without spaces."""
        return orjson.dumps(value)

    def _resolve(self, event: Event, reader: PublishedSchema) -> Mapping[str, object] | str:
        """Return the record resolved to the reader's schema, or why it cannot be resolved."""
        writer = self._book.schema(event.revision)
        if writer is None:
            return _removed(event.revision).detail
        found = self._resolution(writer, reader)
        if found.problems:
            return found.problems[0]
        fields = _tagged(event, writer)
        if isinstance(fields, Undecodable):
            return fields.detail
        try:
            return cast("Mapping[str, object]", found.read(fields, self._max_values))
        except ValueUnresolvable as problem:
            return str(problem)


def _removed(revision: Revision) -> Undecodable:
    """Return the result for a record whose schema's row was removed after it was identified."""
    why = f"{revision.event_type} v{revision.event_version} was removed from the schemas table"
    return Undecodable(UndecodableReason.UNKNOWN_SCHEMA, why)


def _sound(schema: PublishedSchema, value: bytes, body_at: int) -> dict[str, object]:
    """Decode a record that the accelerator read.

    Raises:
        ReadersDiffer: It cannot be decoded.
    """
    fields = read_body(value, body_at, schema.guarded, branch_names=schema.branch_names)
    if isinstance(fields, Undecodable):
        raise ReadersDiffer(f"the accelerator read a record that Python refuses: {fields.detail}")
    return fields if schema.envelope is None else {"data": fields}


def _could_hold(value: bytes, body_at: int, schema: PublishedSchema) -> int:
    """Return the most values that a record can have, by its size alone."""
    return schema.growth.base + schema.growth.rate * (len(value) - body_at)


def _show(
    writer: PublishedSchema, reader: PublishedSchema, *, most: int
) -> Callable[[object], Json]:
    """Return the function that shows the data of a record read by `PublishedSchema.tagged`.

    Args:
        writer: The schema that the record was written with.
        reader: The schema that it is shown as.
        most: The most values that a record may resolve to.
    """
    show = compile_shown(reader)
    found = resolution(writer.nodes, reader.nodes, branch_names=False, every_branch=True)

    def shown(fields: object) -> Json:
        if writer.revision != reader.revision:
            # The document was resolved by the same steps, so these succeed.
            fields = found.read(fields, most)
        return show(cast("dict[str, object]", fields)["data"])

    return shown


def _resolution(writer: PublishedSchema, reader: PublishedSchema) -> Resolution:
    """Return the resolution of a pair; defaults do not replace fields that a newer version dropped."""
    found = resolution(writer.nodes, reader.nodes, branch_names=reader.branch_names)
    if not found.problems and reader.revision.event_version < writer.revision.event_version:
        return replace(found, problems=vanished(reader.tree, writer.tree))
    return found


def _tagged(event: Event, writer: PublishedSchema) -> dict[str, object] | Undecodable:
    """Read an event's record so that each value of a union names its branch."""
    value = event.record.value
    if value is None:
        return _removed(event.revision)
    fields = read_body(value, event.body_at, writer.tagged)
    if writer.envelope is None or isinstance(fields, Undecodable):
        return fields
    return {
        "event_id": event.event_id,
        "occurred_at": event.occurred_at,
        "entity_id": event.entity_id,
        "environment": event.environment,
        "data": fields,
    }


def read_body(
    value: bytes, body_at: int, schema: ParsedSchema, *, branch_names: bool = False
) -> dict[str, object] | Undecodable:
    """Decode a record whose body starts at `body_at`, logical types raw."""
    body = io.BytesIO(value)
    body.seek(body_at)
    try:
        fields = schemaless_reader(body, schema, None, return_named_type=branch_names)
    except MemoryError:
        # Our own failure, not the record's: the process ends.
        raise
    except Exception as problem:  # noqa: BLE001  # untrusted bytes: fastavro raises any exception
        return Undecodable(UndecodableReason.MALFORMED, _sentence(problem, body.tell()))
    if body.tell() != len(value):
        return Undecodable(
            UndecodableReason.TRAILING_BYTES,
            f"{len(value) - body.tell()} bytes follow the record's last field",
        )
    if not isinstance(fields, dict):
        return Undecodable(UndecodableReason.MALFORMED, "the value is not a record")
    return fields


def _sentence(problem: Exception, position: int) -> str:
    for kind, sentence in _TYPICAL_PROBLEMS.items():
        if isinstance(problem, kind):
            return f"{sentence} (near byte {position})"
    return f"{type(problem).__name__}: {str(problem)[:200]} (near byte {position})"


def _unresolvable(event: Event, version: int, why: str) -> Refused:
    return Refused(
        RefusalReason.VERSION_NOT_RESOLVABLE,
        f"{event.event_type} v{event.revision.event_version} cannot be read as v{version}: {why}",
    )
