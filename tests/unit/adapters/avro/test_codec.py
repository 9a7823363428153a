"""Whatever bytes a record contains, the Avro codec decodes them, or names what is wrong with them."""

import io
from typing import cast

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.doubles.schemas import event_fields, event_schema, field

from hookstream.adapters.avro.codec import AvroCodec
from hookstream.adapters.avro.published import PublishedSchema, own_schemas, schema_row
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.model.event import Event, Identified, Undecodable, UnknownSchema
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.outcome import RefusalReason, Refused
from hookstream.core.model.record import Record

UNION = event_schema(field("u", ["null", "string"]))


def record(value: bytes) -> Record:
    return Record("printprice.thing.done", 0, 0, 1_764_000_000_500, None, value, ())


def schema_of(tree: JsonObject) -> PublishedSchema:
    book = SchemaBook()
    schema = book.schema(book.publish(tree))
    assert schema is not None
    return schema


def decoded(tree: JsonObject, value: bytes) -> Event | Undecodable:
    codec = AvroCodec(SchemaBook([tree]))
    found = codec.identify(record(value))
    assert isinstance(found, Identified)
    return codec.decode(found, record(value))


def written(tree: JsonObject, data: JsonObject) -> bytes:
    return schema_of(tree).encode(event_fields(data))


def document(
    trees: list[JsonObject], data: JsonObject, version: int, wrote: JsonObject | None = None
) -> JsonObject | Refused:
    """The document at a version of an event that was written with `wrote`, else the first tree."""
    book = SchemaBook()
    for number, tree in enumerate(trees, start=1):
        book.publish(tree, number)
    codec = AvroCodec(book)
    value = written(wrote or trees[0], data)
    found = codec.identify(record(value))
    assert isinstance(found, Identified)
    event = codec.decode(found, record(value))
    assert isinstance(event, Event)
    return codec.document(event, version)


# Identifying.


def test_a_value_too_short_for_a_fingerprint_is_not_framed() -> None:
    found = AvroCodec(SchemaBook()).identify(record(b"\xc3\x01\x01\x02"))
    assert found == Undecodable(
        "not_framed",
        "the value begins with c3 01 01 02, which names no schema"
        " (C3 01 and a fingerprint of 8 bytes, 00 and an id of 4 bytes, or a header"
        " __value_schema_id is expected)",
    )


def test_an_unknown_schema_is_named_by_its_fingerprint() -> None:
    """An SRE looks for the fingerprint in `hookstream schemas list`: it is shown as on the wire."""
    found = AvroCodec(SchemaBook()).identify(record(b"\xc3\x01" + bytes(range(8)) + b"body"))
    assert found == UnknownSchema("0001020304050607")


def test_a_record_that_once_crashed_the_decoder_is_refused_undecoded() -> None:
    """5,000 levels of a self-referencing record end the process: fastavro overflows the stack."""
    next_one: Json = ["null", "tests.ThingDoneData"]
    key, row = schema_row(event_schema(field("next", next_one, default=None)), 1)
    book = SchemaBook()
    book.put(key, row)
    nested = b"\xc3\x01" + bytes.fromhex(key.rpartition("/")[2]) + b"\x02" * 5_000 + b"\x00"
    found = AvroCodec(book).identify(record(nested))
    assert isinstance(found, Undecodable)
    assert found.reason == "hostile_schema"


def test_an_array_of_nothing_is_refused_undecoded() -> None:
    """Five bytes would become twenty million items, and the process all of the memory."""
    key, row = schema_row(event_schema(field("holes", {"type": "array", "items": "null"})), 1)
    book = SchemaBook()
    book.put(key, row)
    bomb = b"\xc3\x01" + bytes.fromhex(key.rpartition("/")[2]) + b"\x80\xda\xc4\x09\x00"
    found = AvroCodec(book).identify(record(bomb))
    assert isinstance(found, Undecodable)
    assert found.reason == "hostile_schema"


# Decoding.


def test_logical_types_stay_raw() -> None:
    tree = event_schema(
        field("price", {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2})
    )
    event = decoded(tree, written(tree, event_data(price=b"\x30\x39")))
    assert isinstance(event, Event)
    assert event.fields["data"] == {"price": b"\x30\x39"}


def event_data(**data: object) -> JsonObject:
    return data  # type: ignore[return-value]  # raw Avro values


@pytest.mark.parametrize(
    ("cut", "more", "reason", "detail"),
    [
        (1, b"", "malformed", "the record ends before its last field does (near byte "),
        (0, b"\x00", "trailing_bytes", "1 bytes follow the record's last field"),
        (2, b"\x04", "malformed", "a union or enum names a branch that its schema does not have"),
        (2, b"\x01", "malformed", "a union or enum names a branch that its schema does not have"),
        (2, b"\x03", "malformed", "a union or enum names a branch that its schema does not have"),
        (2, b"\x7f", "malformed", "a union or enum names a branch that its schema does not have"),
        (2, b"\x02\x02\xff", "malformed", "a string is not UTF-8"),
        (2, b"\x02\x01x", "malformed", "the record ends before its last field does"),
        (2, b"\x02\xfe\xff\xff\xff\x0fx", "malformed", "the record ends before its last field"),
    ],
)
def test_bytes_that_are_no_record_have_a_reason(
    cut: int, more: bytes, reason: str, detail: str
) -> None:
    """A negative union index among them: fastavro alone reads some branch that was not written."""
    sound = written(UNION, {"u": ""})
    found = decoded(UNION, sound[: len(sound) - cut] + more)
    assert isinstance(found, Undecodable)
    assert found.reason == reason
    assert found.detail.startswith(detail)


@pytest.mark.parametrize(
    ("schema", "body", "read"),
    [
        (["null", "string"], b"\x01\x02x", "x"),
        ({"type": "enum", "name": "n.E", "symbols": ["A", "B"]}, b"\x01", "B"),
    ],
    ids=["union", "enum"],
)
def test_fastavro_still_reads_a_negative_index(schema: Json, body: bytes, read: str) -> None:
    """The defect that the codec's guard is for: once this fails, the guard can be removed."""
    parsed = fastavro.parse_schema(cast("dict[str, object]", schema))
    assert fastavro.schemaless_reader(io.BytesIO(body), parsed, None) == read


@given(st.binary(max_size=200))
def test_no_bytes_stop_the_stream(body: bytes) -> None:
    """One bad record must never end a worker: every worker after it would meet it again."""
    tree = event_schema(
        field("m", {"type": "map", "values": ["null", "long", "string"]}),
        field("a", {"type": "array", "items": "double"}),
        field("e", {"type": "enum", "name": "E", "symbols": ["x", "y"]}),
    )
    assert isinstance(decoded(tree, schema_of(tree).prefix + body), Event | Undecodable)


@given(st.integers(0, 400), st.integers(0, 255))
def test_no_flipped_byte_stops_the_stream(place: int, byte: int) -> None:
    sound = bytearray(written(UNION, {"u": "text"}))
    sound[10 + place % (len(sound) - 10)] = byte
    assert isinstance(decoded(UNION, bytes(sound)), Event | Undecodable)


# Documents.

A, B = field("a", "int"), field("b", "int", default=5)


def test_an_older_revision_is_rendered_as_the_versions_newest() -> None:
    """All payloads of a version look alike, whichever revision the producer still writes."""
    found = document([event_schema(A), event_schema(A, B)], {"a": 1}, 1)
    assert isinstance(found, dict)
    assert found["data"] == {"a": 1, "b": 5}


def test_a_newer_version_is_resolved_by_name_alias_and_promotion() -> None:
    old = event_schema(field("total", "long", aliases=["sum"]))
    new = event_schema(field("sum", "int"), B, version=2)
    found = document([old, new], {"sum": 3, "b": 4}, 1, wrote=new)
    assert isinstance(found, dict)
    assert (found["version"], found["data"]) == (1, {"total": 3})


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (event_schema(A), event_schema(field("a", "string"), version=2), "a"),
        (event_schema(A, B), event_schema(A, version=2), "b"),
        (
            event_schema(
                field("p", {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2})
            ),
            event_schema(
                field(
                    "p", {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 4}
                ),
                field("q", "int", default=0),
                version=2,
            ),
            "decimal(9,4) would be read as decimal(9,2)",
        ),
    ],
    ids=["another type", "a default that nobody meant", "another scale"],
)
def test_what_would_be_misread_or_invented_is_refused(
    old: JsonObject, new: JsonObject, why: str
) -> None:
    """Better no delivery than 1.2345 for 123.45."""
    data = event_data(a=1) if why == "b" else event_data(a="x", p=b"\x01", q=1)
    found = document([old, new], data, 1, wrote=new)
    assert isinstance(found, Refused)
    assert found.reason == RefusalReason.VERSION_NOT_RESOLVABLE
    assert found.detail.startswith("thing.done v2 cannot be read as v1: ")
    assert why in found.detail


def test_a_number_that_is_not_finite_is_refused_with_its_path() -> None:
    found = document([event_schema(field("x", "double"))], {"x": float("nan")}, 1)
    assert isinstance(found, Refused)
    assert found.reason == RefusalReason.NOT_RENDERABLE
    assert found.detail.startswith("data.x")


def test_records_of_one_union_are_distinguished() -> None:
    shape: Json = [
        {"type": "record", "name": "Circle", "fields": [field("size", "int")]},
        {
            "type": "record",
            "name": "Square",
            "fields": [field("size", "long", json="string")],
        },
    ]
    tree = event_schema(field("shape", shape))
    found = document([tree], event_data(shape=("tests.Square", {"size": 4})), 1)
    assert isinstance(found, dict)
    assert found["data"] == {"shape": {"size": "4"}}


@pytest.mark.parametrize("namespace", [{}, {"namespace": ""}], ids=["inherited", "none"])
def test_types_with_and_without_a_namespace_are_distinguished(namespace: JsonObject) -> None:
    """Without one, a type got the enclosing namespace, and its events were refused."""
    circle: Json = {
        "type": "record",
        "name": "Circle",
        **namespace,
        "fields": [field("size", "int")],
    }
    square: Json = {
        "type": "record",
        "name": "Square",
        **namespace,
        "fields": [field("size", "int")],
    }
    shape = field("shape", [circle, square])
    older, newer = event_schema(shape), event_schema(shape, B, version=2)
    full = "Square" if namespace else "tests.Square"
    for version, more in ((1, {}), (2, {"b": 5})):
        found = document([older, newer], event_data(shape=(full, {"size": 4})), version)
        assert isinstance(found, dict)
        assert found["data"] == {"shape": {"size": 4}} | more


def test_a_schema_without_any_namespace_is_read() -> None:
    word: Json = {"type": "enum", "name": "Word", "symbols": ["x", "y"]}
    shapes = (field("either", [word, "int"]), field("again", ["null", "Word"]))
    older, newer = event_schema(*shapes), event_schema(*shapes, B, version=2)
    del older["namespace"], newer["namespace"]
    data = event_data(either=("Word", "y"), again=("Word", "x"))
    found = document([older, newer], data, 2)
    assert isinstance(found, dict)
    assert found["data"] == {"either": "y", "again": "x", "b": 5}


# Tools.


def test_any_framed_record_can_be_shown_its_envelope_unchecked() -> None:
    codec = AvroCodec(SchemaBook(own_schemas()))
    book = SchemaBook(own_schemas())
    schema = book.reader("log.gap", 1)
    assert schema is not None
    fields: dict[str, object] = {
        "event_id": "",
        "occurred_at": -5,
        "entity_id": "",
        "environment": "operations",
        "data": {"topic": "t", "partition": 0, "first_offset": 1, "next_offset": 5, "records": 4},
    }
    framed = record(schema.encode(fields))
    found = codec.identify(framed)
    assert isinstance(found, Identified)
    assert codec.fields(found, framed) == fields


@pytest.mark.case("float")
def test_a_float_is_delivered_as_its_shortest_32_bit_text() -> None:
    tree = event_schema(
        field("flt", "float"),
        field("many", {"type": "map", "values": ["null", "float"]}),
        field("fd", {"type": "array", "items": ["null", "float", "double", "string"]}),
        field("again", ["double", {"type": "float"}]),
    )
    data: dict[str, object] = {
        "flt": 0.7,
        "many": {"a": 0.1, "b": None},
        "fd": [("float", 0.7), ("double", 0.1 + 0.2), ("double", 0.699999988079071), "x", None],
        "again": ("float", 16777216.0),
    }

    found = document([tree], cast("JsonObject", data), 1)

    assert isinstance(found, dict)
    assert found["data"] == {
        "flt": 0.7,
        "many": {"a": 0.1, "b": None},
        "fd": [0.7, 0.30000000000000004, 0.699999988079071, "x", None],
        "again": 16777216.0,
    }
