"""An event is shown as input takes it, with the names of branches where it needs them."""

from typing import cast

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.doubles.drawn_events import PLAIN, TEXTS, Tools, Typed, tools_of
from tests.doubles.schemas import EVENT_ID, event_fields, event_schema, field

from hookstream.adapters.avro.codec import AvroCodec
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.model.event import Event, Identified
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.record import Record
from hookstream.entry.admin.event_lines import read_line
from hookstream.errors import EventRefused

STRINGS: Json = {"type": "map", "values": "string"}


def line(data: JsonObject) -> bytes:
    return orjson.dumps(
        {
            "type": "thing.done",
            "id": EVENT_ID,
            "timestamp": "2026-11-28T08:00:00.000000Z",
            "entity_id": "a",
            "environment": "production",
            "data": data,
        }
    )


def data_of(shown: object) -> JsonObject:
    assert isinstance(shown, dict)
    return cast("JsonObject", shown["data"])


@pytest.mark.case("shown-form-refused")
@pytest.mark.parametrize(
    ("kind", "more", "value"),
    [
        ({"type": "long", "logicalType": "timestamp-nanos"}, {}, "2026-11-28T08:00:00.000000001Z"),
        (
            {"type": "long", "logicalType": "local-timestamp-nanos"},
            {},
            "2026-11-28T08:00:00.000000001",
        ),
        (
            {"type": "long", "logicalType": "local-timestamp-millis"},
            {},
            "2026-11-28T08:00:00.001",
        ),
        (
            {"type": "fixed", "name": "FU", "size": 16, "logicalType": "uuid"},
            {},
            "7d5f6d9e-6f2e-4b8e-9d53-6d7f2f1a4c11",
        ),
        (
            {"type": "fixed", "name": "DU", "size": 12, "logicalType": "duration"},
            {},
            "P1M2DT0.003S",
        ),
        (
            {"type": "fixed", "name": "DU", "size": 12, "logicalType": "duration"},
            {},
            "P4294967295M4294967295DT4294967.295S",
        ),
        (
            ["null", {"type": "long", "logicalType": "timestamp-nanos"}],
            {},
            "1970-01-01T00:00:00.000000001Z",
        ),
        (["null", "long"], {"json": "string"}, "9007199254740993"),
        ({"type": "array", "items": ["long", "null"]}, {"json": "string"}, ["9007199254740993"]),
        ({"type": "map", "values": "long"}, {"json": "string"}, {"a": "-9223372036854775808"}),
    ],
)
def test_what_is_shown_is_accepted_as_input_and_delivered_again(
    kind: Json, more: JsonObject, value: Json
) -> None:
    tools = Tools(event_schema(field("v", kind, **more), field("n", ["null", "int"])))
    data: JsonObject = {"v": value, "n": None}

    sent = tools.sent(line(data))

    assert data_of(tools.delivered(sent)) == data
    assert data_of(tools.shown(sent)) == data


TEXTUAL = [
    (schema, name, values)
    for schema, name, values in PLAIN
    if name != "string"
    and (isinstance(schema, dict) and ("logicalType" in schema or "json" in schema))
]


@pytest.mark.parametrize("typed", TEXTUAL, ids=range(len(TEXTUAL)))
@given(choose=st.data())
def test_a_text_that_two_branches_accept_is_shown_with_the_name_of_its_branch(
    typed: Typed, choose: st.DataObject
) -> None:
    schema, name, values = typed
    tools = tools_of(event_schema(field("v", ["null", schema, "string"])))
    raw = choose.draw(values)
    one = tools.written(cast("JsonObject", {"v": (name, raw)}))
    text = data_of(tools.delivered(one))["v"]
    other = tools.written(cast("JsonObject", {"v": ("string", text)}))

    assert data_of(tools.delivered(other))["v"] == text
    assert data_of(tools.shown(one)) == {"v": {name: text}}
    assert data_of(tools.shown(other)) == {"v": {"string": text}}
    for value in (one, other):
        assert tools.sent(orjson.dumps(tools.shown(value))) == value


@pytest.mark.parametrize("typed", TEXTUAL, ids=range(len(TEXTUAL)))
@given(text=TEXTS)
def test_a_text_beside_a_string_is_delivered_as_it_was_given_or_refused_as_ambiguous(
    typed: Typed, text: str
) -> None:
    tools = tools_of(event_schema(field("v", ["null", typed[0], "string"])))
    try:
        sent = tools.sent(line({"v": text}))
    except EventRefused as refused:
        assert f"fits several branches of its union ({typed[1]}" in str(refused)  # noqa: PT017  # no other refusal is right
        sent = tools.sent(line({"v": {typed[1]: text}}))
    assert data_of(tools.delivered(sent)) == {"v": text}


@pytest.mark.parametrize(
    ("kind", "written", "shown"),
    [
        (["null", "bytes", "string", STRINGS], ("string", "TQ=="), {"string": {"string": "TQ=="}}),
        (["null", "bytes", "string", STRINGS], ("string", "TR=="), "TR=="),
        (["null", STRINGS, "bytes"], ("map", {"bytes": "TQ=="}), {"bytes": "TQ=="}),
        (["null", "int", "long"], ("long", 5), {"long": 5}),
        (["null", "int", "long"], ("long", 2**31), 2**31),
        (["null", "float", "double"], ("float", 0.699999988079071), {"float": 0.7}),
        (["null", "float", "double"], ("double", 0.699999988079071), 0.699999988079071),
        (["double", "long"], ("double", 5.0), 5.0),
        (["string"], ("string", "x"), "x"),
    ],
)
def test_names_are_shown_where_input_needs_them(kind: Json, written: object, shown: Json) -> None:
    tools = Tools(event_schema(field("v", kind)))
    value = tools.written(cast("JsonObject", {"v": written}))
    assert data_of(tools.shown(value)) == {"v": shown}
    assert tools.sent(orjson.dumps(tools.shown(value))) == value


def test_a_record_of_an_older_revision_is_shown_as_the_newest_and_taken() -> None:
    union: Json = ["null", {"type": "int", "logicalType": "date"}, "string", "double", "float"]
    old = event_schema(field("v", union), field("w", union))
    new = event_schema(field("v", union), field("w", union), field("x", "int", default=7))
    book = SchemaBook()
    writer = book.schema(book.publish(old, 1))
    book.publish(new, 2)
    assert writer is not None
    data = {"v": ("string", "2026-11-28"), "w": ("double", 0.1 + 0.2)}
    record = Record("t", 0, 0, 0, None, writer.encode(event_fields(cast("JsonObject", data))), ())
    codec = AvroCodec(book)
    found = codec.identify(record)
    assert isinstance(found, Identified)
    event = codec.decode(found, record)
    assert isinstance(event, Event)

    shown = codec.shown(event, 1)

    assert data_of(shown) == {"v": {"string": "2026-11-28"}, "w": 0.1 + 0.2, "x": 7}
    assert read_line(orjson.dumps(shown)).version == 1
