import math
from collections.abc import Callable

import pytest

from hookstream.core.avro.nodes import AvroSchema, FieldNode, Logical, Primitive, RecordNode
from hookstream.core.avro.reader import SchemaRefused, read_schema
from hookstream.core.avro.render import (
    NotRenderable,
    compile_value,
)
from hookstream.core.avro.standard_body import standard_document
from hookstream.core.model.event import Event, Revision
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.record import Origin, Record


def a_record(*fields: JsonObject, name: str = "R") -> JsonObject:
    return {"type": "record", "name": name, "namespace": "t", "fields": list(fields)}


def rendering(schema: Json) -> Callable[[object], Json]:
    return compile_value(read_schema(schema))


def logical(kind: str, rule: str, /, **more: Json) -> JsonObject:
    return {"type": kind, "logicalType": rule, **more}


MONEY = logical("bytes", "decimal", precision=9, scale=2)


def unscaled(number: int) -> bytes:
    return number.to_bytes(8, "big", signed=True)


@pytest.mark.parametrize(
    ("schema", "value", "rendered"),
    [
        ("null", None, None),
        ("boolean", True, True),
        ("string", "é\n", "é\n"),
        ("int", -(2**31), -(2**31)),
        ("long", 2**53 - 1, 2**53 - 1),
        ("long", -(2**53) + 1, -(2**53) + 1),
        ({"type": "long", "json": "string"}, 7, "7"),
        ({"type": "long", "json": "string"}, -(2**63), "-9223372036854775808"),
        ("double", 0.5, 0.5),
        ("double", -0.0, -0.0),
        ("float", 3.0, 3.0),
        ("float", 0.699999988079071, 0.7),
        ("float", 2.0**30, 1073741800.0),
        ("float", 1, 1.0),
        (["null", "float", "string"], 0.699999988079071, 0.7),
        ({"type": "array", "items": "float"}, [0.10000000149011612], [0.1]),
        ("double", 0.699999988079071, 0.699999988079071),
        ("double", 3, 3.0),
        ("bytes", b"", ""),
        ("bytes", b"\x00\xff\xfe", "AP/+"),
        ({"type": "fixed", "name": "F", "size": 2}, b"\x01\x02", "AQI="),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, "A", "A"),
        (MONEY, unscaled(0), "0.00"),
        (MONEY, b"", "0.00"),
        (MONEY, unscaled(5), "0.05"),
        (MONEY, unscaled(-5), "-0.05"),
        (MONEY, unscaled(12345), "123.45"),
        (MONEY, unscaled(-999_999_999), "-9999999.99"),
        (logical("bytes", "decimal", precision=4), unscaled(-12), "-12"),
        (logical("bytes", "decimal", precision=3, scale=3), unscaled(7), "0.007"),
        (logical("fixed", "decimal", name="D", size=8, precision=9, scale=1), unscaled(7), "0.7"),
        (logical("string", "uuid"), "7c9e6679", "7c9e6679"),
        (
            logical("fixed", "uuid", name="U", size=16),
            bytes(range(16)),
            "00010203-0405-0607-0809-0a0b0c0d0e0f",
        ),
        (logical("int", "date"), 0, "1970-01-01"),
        (logical("int", "date"), 20_781, "2026-11-24"),
        (logical("int", "date"), -719_162, "0001-01-01"),
        (logical("int", "time-millis"), 0, "00:00:00.000"),
        (logical("int", "time-millis"), 86_399_999, "23:59:59.999"),
        (logical("long", "time-micros"), 1, "00:00:00.000001"),
        (logical("long", "timestamp-millis"), 0, "1970-01-01T00:00:00.000Z"),
        (logical("long", "timestamp-millis"), -1, "1969-12-31T23:59:59.999Z"),
        (logical("long", "timestamp-micros"), 0, "1970-01-01T00:00:00.000000Z"),
        (
            logical("long", "timestamp-micros"),
            1_795_000_000_000_001,
            "2026-11-18T11:06:40.000001Z",
        ),
        (logical("long", "timestamp-nanos"), 1_000_000_001, "1970-01-01T00:00:01.000000001Z"),
        (logical("long", "local-timestamp-millis"), 0, "1970-01-01T00:00:00.000"),
        (logical("long", "local-timestamp-micros"), 0, "1970-01-01T00:00:00.000000"),
        (logical("long", "local-timestamp-nanos"), 1, "1970-01-01T00:00:00.000000001"),
        (
            logical("fixed", "duration", name="P", size=12),
            b"\x01\0\0\0\x02\0\0\0\xe9\x03\0\0",
            "P1M2DT1.001S",
        ),
        ({"type": "array", "items": "string"}, ["a"], ["a"]),
        ({"type": "array", "items": MONEY}, [unscaled(1), unscaled(2)], ["0.01", "0.02"]),
        ({"type": "map", "values": "long"}, {"a": 1}, {"a": 1}),
        ({"type": "map", "values": "string"}, {"a": "b"}, {"a": "b"}),
        ({"type": "map", "values": MONEY}, {"a": unscaled(1)}, {"a": "0.01"}),
        ({"type": {"type": "string"}}, "x", "x"),
    ],
)
def test_each_avro_type_has_one_json_form(schema: Json, value: object, rendered: Json) -> None:
    found = rendering(schema)(value)

    assert found == rendered
    assert type(found) is type(rendered)


@pytest.mark.parametrize(
    ("schema", "value", "rendered"),
    [
        (logical("bytes", "decimal"), b"\x01", "AQ=="),
        (logical("bytes", "decimal", precision=2, scale=3), b"\x01", "AQ=="),
        (logical("bytes", "decimal", precision=True), b"\x01", "AQ=="),
        (logical("bytes", "decimal", precision=0), b"\x01", "AQ=="),
        (logical("bytes", "decimal", precision=5000), b"\x01", "AQ=="),
        (logical("fixed", "decimal", name="D", size=1, precision=9), b"\x01", "AQ=="),
        (logical("fixed", "uuid", name="U", size=2), b"\x01\x02", "AQI="),
        (logical("int", "timestamp-millis"), 5, 5),
        (logical("long", "date"), 5, 5),
        (logical("int", "uuid"), 5, 5),
        (logical("long", "nobody-knows"), 5, 5),
    ],
)
def test_a_logical_type_that_is_not_valid_is_ignored(
    schema: Json, value: object, rendered: Json
) -> None:
    """Avro demands it, and the schema alone decides: the JSON type stays the same for all values."""
    assert rendering(schema)(value) == rendered


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ("long", 2**53),
        ("long", -(2**53)),
        ("int", 2**31),
        ("double", math.inf),
        ("double", -math.inf),
        ("float", math.nan),
        ("float", math.inf),
        ("float", 1e39),
        (MONEY, unscaled(1_000_000_000)),
        (MONEY, b"\x7f" * 5000),
        (logical("int", "date"), 2_932_897),
        (logical("int", "date"), -719_163),
        (logical("int", "time-millis"), -1),
        (logical("long", "time-micros"), 86_400_000_000),
        (logical("long", "timestamp-millis"), 253_402_300_800_000),
        (logical("long", "timestamp-micros"), -(2**63)),
        ("long", "7"),
        ("bytes", "x"),
        (["null", "long"], 2**53),
        ({"type": "array", "items": "long"}, [1, 2**53]),
        ({"type": "array", "items": "long"}, {}),
        ({"type": "map", "values": "long"}, []),
        (MONEY, "0.01"),
        (a_record({"name": "n", "type": "int"}), [1]),
    ],
)
def test_a_value_that_json_cannot_represent_is_refused(schema: Json, value: object) -> None:
    """A reader that takes numbers for doubles would silently read another one."""
    render = rendering(schema)

    with pytest.raises(NotRenderable):
        render(value)


def test_a_refusal_names_the_path_and_the_reason() -> None:
    schema = a_record(
        {
            "name": "lines",
            "type": {
                "type": "array",
                "items": a_record(
                    {"name": "sizes", "type": {"type": "map", "values": ["null", "long"]}},
                    {"name": "price", "type": MONEY},
                    name="Line",
                ),
            },
        }
    )
    line = {"sizes": {"a": 1}, "price": unscaled(1)}
    value = {"lines": [line, {"sizes": {"b": 2**60}, "price": unscaled(1)}]}

    with pytest.raises(NotRenderable) as refusal:
        rendering(schema)(value)

    assert str(refusal.value) == (
        "lines[1].sizes['b'] lies beyond ±(2^53-1); "
        '"json": "string" in its schema would write it as text'
    )


def test_a_number_of_a_record_is_refused_by_its_name() -> None:
    with pytest.raises(NotRenderable, match=r"^n lies outside -2147483648 to 2147483647$"):
        rendering(a_record({"name": "n", "type": "int"}))({"n": 2**31})


def test_a_record_keeps_its_order_and_the_original_is_not_changed() -> None:
    schema = a_record(
        {"name": "z", "type": MONEY},
        {"name": "a", "type": "string"},
        {"name": "m", "type": ["null", MONEY]},
    )
    value = {"z": unscaled(1), "a": "x", "m": None}

    found = rendering(schema)(value)

    assert isinstance(found, dict)
    assert list(found.items()) == [("z", "0.01"), ("a", "x"), ("m", None)]
    assert value == {"z": unscaled(1), "a": "x", "m": None}


def test_a_field_is_a_name_and_never_code() -> None:
    """Records are compiled to Python; the reader lets no such name in, and nothing relies on that."""
    name = 'x\'] = exit() #\n"""{value}'
    node = RecordNode("t.R", (), (FieldNode(name, Primitive("int")),), {})
    money = RecordNode(
        "t.M",
        (),
        (FieldNode(name, Primitive("bytes", Logical("decimal", 9, 2))),),
        {},
    )

    assert compile_value(AvroSchema(node, {}))({name: 7}) == {name: 7}
    assert compile_value(AvroSchema(money, {}))({name: b"\x07"}) == {name: "0.07"}


def test_a_record_that_is_plain_already_is_returned_unchanged() -> None:
    """No copy: this is most of what an event's data is made of."""
    schema = a_record(
        {"name": "a", "type": ["null", "string"]},
        {"name": "n", "type": "long"},
        {"name": "inner", "type": a_record({"name": "b", "type": "boolean"}, name="Inner")},
    )
    value = {"a": None, "n": 1, "inner": {"b": True}}

    assert rendering(schema)(value) is value


def test_a_long_is_text_if_its_field_or_its_type_requests_it() -> None:
    schema = a_record(
        {"name": "a", "type": ["null", "long"], "json": "string"},
        {"name": "b", "type": ["null", {"type": "long", "json": "string"}]},
        {"name": "c", "type": "long"},
    )

    assert rendering(schema)({"a": 1, "b": 2, "c": 3}) == {"a": "1", "b": "2", "c": 3}


def test_a_named_type_may_be_referenced_after_its_definition() -> None:
    amount: JsonObject = {**logical("fixed", "decimal", precision=9, scale=2), "name": "Amount"}
    amount["size"] = 8
    schema = a_record(
        {"name": "net", "type": amount},
        {"name": "gross", "type": "Amount"},
        {"name": "tax", "type": ["null", "t.Amount"]},
    )

    found = rendering(schema)(dict.fromkeys(("net", "gross", "tax"), unscaled(100)))

    assert found == {"net": "1.00", "gross": "1.00", "tax": "1.00"}


def test_a_namespace_reaches_the_types_within_it() -> None:
    inner: JsonObject = {
        "type": "record",
        "name": "x.Inner",
        "fields": [
            {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["A"]}},
            {"name": "f", "type": "E"},
            {"name": "g", "type": "x.E"},
        ],
    }

    found = rendering(a_record({"name": "inner", "type": inner}))

    assert found({"inner": {"e": "A", "f": "A", "g": "A"}}) == {
        "inner": {"e": "A", "f": "A", "g": "A"}
    }


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        (
            a_record({"name": "next", "type": ["null", "R"]}),
            "next is of t.R, which contains itself",
        ),
        (
            a_record({"name": "x", "type": "Nowhere"}),
            "x: 't.Nowhere' is defined nowhere before it",
        ),
        (a_record({"type": "int"}), "{'type': 'int'} is no field"),
        ({"type": "record", "name": "R"}, "the record R has no list of fields"),
        ({"type": "record", "fields": []}, "a 'record' has no name"),
        ({"type": "fixed", "name": "F"}, "the fixed type F has no size"),
        ({"type": "array"}, "the schema[]: None is no type"),
        (7, "7 is no type"),
        ({"type": 7}, "7 is no type"),
        (
            [logical("int", "date"), logical("long", "timestamp-micros")],
            "is a union with 2 int types that look alike",
        ),
        (
            ["int", {"type": "long", "json": "string"}],
            "is a union with 2 int types that look alike",
        ),
    ],
)
def test_a_schema_that_cannot_be_rendered_is_refused_before_any_value(
    schema: Json, why: str
) -> None:
    with pytest.raises((NotRenderable, SchemaRefused)) as refusal:
        rendering(schema)

    assert why in str(refusal.value)


def test_a_schema_nested_without_end_is_refused() -> None:
    schema: Json = "string"
    for _ in range(200):
        schema = {"type": "array", "items": schema}

    with pytest.raises(SchemaRefused, match="nested deeper than 100 levels"):
        rendering(schema)


def test_an_event_body_has_its_keys_in_the_documented_order() -> None:
    """Partners read these by eye too; and equal events give equal bytes."""
    origin = Origin("printprice.order.generated", 0, 1, 5)
    event = Event(
        Revision("order.generated", 3, "8f5c393f1ad57572"),
        "evt-1",
        1_795_000_000_000_000,
        "order-9",
        "live",
        {"data": {}},
        Record("printprice.order.generated", 0, 1, 5, None, b"", ()),
        origin,
    )

    found = standard_document(event, 2, {"total": "1.00"})

    assert list(found.items()) == [
        ("type", "order.generated"),
        ("version", 2),
        ("timestamp", "2026-11-18T11:06:40.000000Z"),
        ("id", "evt-1"),
        ("environment", "live"),
        ("entity_id", "order-9"),
        ("data", {"total": "1.00"}),
    ]
