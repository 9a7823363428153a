"""Reads events by the native accelerator, if there is one: identity, bodies and the values of filters.

It compiles schemas and pairs of them once, by `native.py`, `native_mapped.py` and `native_versions.py`.
A result of None leaves the event to Python.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from types import ModuleType
from typing import Final, TypeAlias

from hookstream.adapters.avro.native import (
    ENVELOPE,
    NativeFields,
    NativeProgram,
    Pick,
    asked_of,
    program_of,
)
from hookstream.adapters.avro.native_mapped import ForeignProgram, foreign_program_of
from hookstream.adapters.avro.native_versions import PinnedProgram, picker_of, pinned_program_of
from hookstream.adapters.avro.published import PublishedSchema
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.avro.nodes import AvroSchema
from hookstream.core.avro.render import NotRenderable
from hookstream.core.avro.standard_body import standard_document
from hookstream.core.catalog.resolution import Resolution
from hookstream.core.model.envelope import open_envelope
from hookstream.core.model.event import Event, Identified, Undecodable
from hookstream.core.model.json import JsonObject, Paths
from hookstream.core.model.record import Origin, Record

MOST_COMPILED: Final = 4_096
"""The most schemas, or pairs of schemas, whose compiled function is cached.

They are distinguished as objects, not by their revisions: a rewritten row may differ in parts that a
fingerprint ignores.
"""

Decode: TypeAlias = Callable[[PublishedSchema, bytes, int], Mapping[str, object]]
"""Decodes a record that the accelerator read, given its schema, its value and the start of its body."""


class NativeReader:
    """Reads events by the accelerator. Thread-safe.

    Args:
        module: The accelerator; None: everything is left to Python.
        book: The schemas.
        decode: Decodes a record in Python that the accelerator read, if a field is requested.
        renderer: Returns the renderer of a schema's data, or raises NotRenderable.
        resolution: Returns the resolution of one schema's records to another.
        most_values: The most values of a record, and the most that defaults may fill in.
    """

    def __init__(
        self,
        module: ModuleType | None,
        book: SchemaBook,
        decode: Decode,
        renderer: Callable[[AvroSchema], object],
        resolution: Callable[[PublishedSchema, PublishedSchema], Resolution],
        most_values: int,
    ) -> None:
        self._module = module
        self._book = book
        self._decode = decode
        self._renderer = renderer
        self._resolution = resolution
        self._most_values = most_values
        self._program = lru_cache(MOST_COMPILED)(self._compiled)
        self._foreign = lru_cache(MOST_COMPILED)(self._compiled_foreign)
        self._pair = lru_cache(MOST_COMPILED)(self._compiled_pair)
        self._picker = lru_cache(MOST_COMPILED)(self._picker_of)

    def decode(
        self,
        schema: PublishedSchema,
        identified: Identified,
        record: Record,
        value: bytes,
        origin: Origin,
        event_id: str,
    ) -> Event | Undecodable | None:
        """Decode an event, see `Codec.decode`; None: Python does."""
        body_at, body = identified.body_at, None
        if schema.envelope is None:
            program = self._program(schema)
            read = None if program is None else program.read(value, body_at)
            if read is None:
                return None
            event_id, occurred_at, entity_id, environment, is_plain, body = read
            if not is_plain:
                # Python decides which characters are printable.
                named = zip(ENVELOPE, (*read[:4], {}), strict=True)
                envelope = open_envelope(dict(named))
                if isinstance(envelope, Undecodable):
                    return envelope
        else:
            foreign = self._foreign(schema)
            fields = None if foreign is None else foreign.read(value, body_at)
            if fields is None:
                return None
            envelope = schema.envelope.read(fields, record.headers, origin.timestamp, event_id)
            if isinstance(envelope, Undecodable):
                return envelope
            event_id, occurred_at, entity_id, environment = envelope
        return Event(
            identified.revision,
            event_id,
            occurred_at,
            entity_id,
            environment,
            NativeFields(schema, body, partial(self._decode, schema, value, body_at)),
            record,
            origin,
            body_at=body_at,
        )

    def body(self, event: Event, reader: PublishedSchema) -> bytes | None:
        """Return the body of an event that the accelerator read, at a version; None: Python makes it."""
        fields = event.fields
        if not isinstance(fields, NativeFields):
            return None
        bodies = fields.bodies
        if reader not in bodies:
            bodies[reader] = self._body(event, fields.schema, reader)
        return bodies[reader]

    def excerpt(self, event: Event, reader: PublishedSchema, paths: Paths) -> JsonObject | None:
        """Return the values of a body at a version at some paths, see `Codec.excerpt`; None: Python makes them.

        At another version than the record's it picks only from records whose body it made, so no value in
        them would be refused by Python. At the record's own version, no record that it read has such a value.
        """
        fields, value = event.fields, event.record.value
        if value is None or not isinstance(fields, NativeFields):
            return None
        if fields.schema is not reader and self.body(event, reader) is None:
            return None
        pick = self._picker(fields.schema, reader, paths)
        picked = None if pick is None else pick(value, event.body_at)
        version = reader.revision.event_version
        return None if picked is None else standard_document(event, version, picked)

    def _compiled(self, schema: PublishedSchema) -> NativeProgram | None:
        """Return the accelerator's program for a schema, if it has one."""
        if self._module is None or not self._can_be_rendered(schema):
            return None
        return program_of(self._module, schema, self._most_values)

    def _compiled_foreign(self, schema: PublishedSchema) -> ForeignProgram | None:
        """Return the accelerator's program for the schema of mapped records, if it has one."""
        if self._module is None or not self._can_be_rendered(schema):
            return None
        return foreign_program_of(self._module, schema, self._most_values)

    def _compiled_pair(
        self, writer: PublishedSchema, reader: PublishedSchema
    ) -> PinnedProgram | None:
        """Return the accelerator's program for a pair of schemas, if it has one."""
        if (
            self._module is None
            or not self._can_be_rendered(reader)
            or self._resolution(writer, reader).problems
        ):
            return None
        return pinned_program_of(self._module, writer, reader, self._most_values)

    def _can_be_rendered(self, schema: PublishedSchema) -> bool:
        """Return whether data of a schema can be rendered; otherwise each document is refused with the reason."""
        try:
            return schema.data is not None and self._renderer(schema.data) is not None
        except NotRenderable:
            return False

    def _picker_of(
        self, writer: PublishedSchema, reader: PublishedSchema, paths: Paths
    ) -> Pick | None:
        """Return the function that picks the data at a body's paths, at a version, from a record whose body was made."""
        if writer is reader:
            program = self._program(writer)
            return None if program is None else program.select(asked_of(paths)).pick
        pair = self._pair(writer, reader)
        return None if pair is None else picker_of(pair, paths)

    def _body(
        self, event: Event, writer: PublishedSchema, reader: PublishedSchema
    ) -> bytes | None:
        """Make the body of an event at a version; None: Python makes it."""
        value = event.record.value
        if value is None:
            return None
        if writer is reader:
            program = self._program(writer)
            return None if program is None else program.body(value, event.body_at)
        if reader.revision == event.revision or self._book.schema(event.revision) is not writer:
            # The schema's row was rewritten meanwhile.
            return None
        pair = self._pair(writer, reader)
        if pair is None:
            return None
        return pair.body(
            value,
            event.body_at,
            event.event_id,
            event.occurred_at,
            event.entity_id,
            event.environment,
        )
