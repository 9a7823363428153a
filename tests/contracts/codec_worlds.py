"""What the codec suite needs to know of a codec: how to publish, and how to write a record."""

from dataclasses import dataclass, field
from typing import Protocol

from tests.doubles.codec import JsonCodec, json_value
from tests.doubles.schemas import OCCURRED_AT, event_fields, event_schema
from tests.doubles.schemas import field as avro_field

from hookstream.adapters.avro.accelerator import Implementation, implementation
from hookstream.adapters.avro.codec import AvroCodec
from hookstream.adapters.avro.registered import registered_row
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.model.framing import SINGLE_OBJECT_BODY
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import Record
from hookstream.core.model.registered import RegisteredId
from hookstream.pipeline.ports import Codec

MAX_RECORD_BYTES = 4_096


def record(value: bytes | None) -> Record:
    """A record at a known place."""
    return Record("printprice.thing.done", 3, 41, 1_764_000_000_500, b"job-1", value, ())


class World(Protocol):
    """One codec, and the records that it understands."""

    codec: Codec

    def publish(self, version: int) -> None:
        """Make a version of `thing.done` known; version 1 has `a`, version 2 has `a` and `b`."""

    def value(self, version: int, data: JsonObject, *, event_id: str) -> bytes:
        """The bytes of an event, whether its version was published or not."""

    def body(self, version: int, data: JsonObject, *, event_id: str) -> bytes:
        """The bytes of an event without a framing."""

    def serve(self, topic: str, registry: str) -> None:
        """Let a registry serve a topic."""

    def resolve(self, schema: RegisteredId, version: int) -> None:
        """Make a row of a registry's schema: a version of `thing.done`."""

    def value_without_id(self) -> bytes:
        """The bytes of an event of version 1 whose id is empty."""

    def not_renderable(self) -> bytes:
        """The bytes of an event of version 1 with a value that JSON cannot represent."""


@dataclass
class JsonWorld:
    """The double."""

    codec: JsonCodec = field(default_factory=lambda: JsonCodec(max_record_bytes=MAX_RECORD_BYTES))

    def publish(self, version: int) -> None:
        self.codec.publish("thing.done", version)

    def value(self, version: int, data: JsonObject, *, event_id: str) -> bytes:
        return json_value(
            "thing.done", event_id, version=version, occurred_at=OCCURRED_AT, data=data
        )

    def body(self, version: int, data: JsonObject, *, event_id: str) -> bytes:
        return self.value(version, data, event_id=event_id)

    def serve(self, topic: str, registry: str) -> None:
        self.codec.registries[topic] = registry

    def resolve(self, schema: RegisteredId, version: int) -> None:
        self.codec.rows[schema] = ("thing.done", version)

    def value_without_id(self) -> bytes:
        return json_value("thing.done", "", data={"a": 1})

    def not_renderable(self) -> bytes:
        return json_value("thing.done", "e1", data={"not_renderable": True})


_A = avro_field("a", "long")
_B = avro_field("b", "long", default=0)
_SCHEMAS = {1: event_schema(_A), 2: event_schema(_A, _B, version=2)}


class AvroWorld:
    """The real one, as Python."""

    reads_by = Implementation(None, "a test of it alone")

    def __init__(self) -> None:
        self._book = SchemaBook()
        self._registries: dict[str, str] = {}
        self.codec: Codec = AvroCodec(
            self._book,
            max_record_bytes=MAX_RECORD_BYTES,
            registry_of=self._registries.get,
            reads_by=self.reads_by,
        )

    def publish(self, version: int) -> None:
        self._book.publish(_SCHEMAS[version])

    def value(self, version: int, data: JsonObject, *, event_id: str) -> bytes:
        schema = SchemaBook([_SCHEMAS[version]]).reader("thing.done", version)
        assert schema is not None
        return schema.encode(event_fields(data, event_id=event_id))

    def body(self, version: int, data: JsonObject, *, event_id: str) -> bytes:
        return self.value(version, data, event_id=event_id)[SINGLE_OBJECT_BODY:]

    def serve(self, topic: str, registry: str) -> None:
        self._registries[topic] = registry

    def resolve(self, schema: RegisteredId, version: int) -> None:
        problem = self._book.put(schema.key, registered_row(schema, _SCHEMAS[version]))
        assert problem is None

    def value_without_id(self) -> bytes:
        return self.value(1, {"a": 1}, event_id="")

    def not_renderable(self) -> bytes:
        return self.value(1, {"a": 2**53}, event_id="e1")


class NativeWorld(AvroWorld):
    """The real one with the accelerator."""

    reads_by = implementation()


WORLDS: list[type[JsonWorld | AvroWorld]] = [JsonWorld, AvroWorld]
if NativeWorld.reads_by.module is not None:
    WORLDS.append(NativeWorld)
