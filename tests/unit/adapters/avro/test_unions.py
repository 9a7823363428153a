"""A value of a union goes to the only branch that fits, or to the one that the input names."""

import datetime as dt
import json
import time
from decimal import Decimal
from typing import cast

import pytest
from tests.doubles.schemas import EVENT_ID, event_schema, field

from hookstream.adapters.avro.json_input import compile_input
from hookstream.adapters.avro.published import published
from hookstream.adapters.exact_json import parse_exact
from hookstream.core.model.json import Json
from hookstream.errors import EventRefused

MONEY: Json = {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}
DAY: Json = {"type": "int", "logicalType": "date"}
MICROS: Json = {"type": "long", "logicalType": "timestamp-micros"}
UUID16: Json = {"type": "fixed", "name": "FU", "size": 16, "logicalType": "uuid"}
COLOUR: Json = {"type": "enum", "name": "Colour", "symbols": ["cmyk", "rgb"]}
A: Json = {
    "type": "record",
    "name": "A",
    "fields": [field("n", "string"), field("x", "int", default=0)],
}
B: Json = {"type": "record", "name": "B", "fields": [field("n", "string")]}
B2: Json = {
    "type": "record",
    "name": "B2",
    "fields": [field("n", "string"), field("y", "int", default=0)],
}
AT: Json = {"type": "record", "name": "At", "fields": [field("t", MICROS)]}
AT2: Json = {
    "type": "record",
    "name": "At2",
    "fields": [field("t", MICROS), field("x", "int", default=0)],
}


def taken(kind: Json, value: object) -> object:
    """What one field `v` of a type becomes."""
    envelope = {
        "event_id": EVENT_ID,
        "occurred_at": "2026-11-24T08:15:30Z",
        "entity_id": "job-1",
        "environment": "production",
    }
    take = compile_input(published(event_schema(field("v", kind)), 1))
    data = cast("dict[str, object]", take({**envelope, "data": {"v": value}})["data"])
    return data["v"]


def refusal(kind: Json, value: object) -> str:
    with pytest.raises(EventRefused) as refused:
        taken(kind, value)
    return str(refused.value)


@pytest.mark.case("union-branches")
@pytest.mark.parametrize(
    ("kind", "text", "raw"),
    [
        (["null", MONEY, "string"], '"007"', ("string", "007")),
        (["null", MONEY, "string"], '"7"', ("string", "7")),
        (["null", "bytes", "string"], '"TR=="', ("string", "TR==")),
        (["null", A, B], '{"n":"x"}', ("tests.B", {"n": "x"})),
        (["null", A, B], '{"n":"x","x":0}', ("tests.A", {"n": "x", "x": 0})),
        (["null", A, B], '{"B":{"n":"x"}}', ("tests.B", {"n": "x"})),
        (["null", A, B], '{"tests.A":{"n":"x"}}', ("tests.A", {"n": "x", "x": 0})),
        (["null", MONEY, "string"], '{"string":"7.00"}', ("string", "7.00")),
        (["null", MONEY, "string"], '{"bytes":"7.00"}', ("bytes", b"\x02\xbc")),
        (["null", MONEY, "string"], '{"decimal":"7"}', ("bytes", b"\x02\xbc")),
        (["null", DAY, "string"], '"2026-02-30"', ("string", "2026-02-30")),
        (["null", DAY, "string"], '{"date":"1970-01-02"}', ("int", 1)),
        (["null", MICROS, "string"], '"1970-01-01T01:00:00+01:00"', ("string", "1970-01-01T01:00:00+01:00")),
        (["null", MICROS, "double"], '"1970-01-01T01:00:00+01:00"', ("long", 0)),
        (["null", UUID16, "string"], '"7D5F6D9E-6F2E-4B8E-9D53-6D7F2F1A4C11"', ("string", "7D5F6D9E-6F2E-4B8E-9D53-6D7F2F1A4C11")),
        (["null", COLOUR, "string"], '"RGB"', ("string", "RGB")),
        (["null", "double", "long"], "9007199254740993", ("long", 9007199254740993)),
        (["null", "double", "long"], "5", ("long", 5)),
        (["null", "double", "long"], "5.0", ("double", 5.0)),
        (["null", "double", "string"], "5", ("double", 5.0)),
        (["null", "float", "double"], "16777217", ("double", 16777217.0)),
        (["null", "float", "double"], "0.30000000000000004", ("double", 0.1 + 0.2)),
        (["null", "float", "double"], '{"float":0.5}', ("float", 0.5)),
        (["null", {"type": "array", "items": "string"}, "string"], '["a"]', ("array", ["a"])),
        (["null", {"type": "map", "values": "string"}, "string"], '{"string":"a"}', ("map", {"string": "a"})),
        (["null", {"type": "map", "values": "int"}, "string"], '{"string":"a"}', ("string", "a")),
        (["null", AT, AT2], '{"t":"1970-01-01T01:00:00+01:00"}', ("tests.At", {"t": 0})),
        (["null", "string"], '{"string":"a"}', ("string", "a")),
        (["null", A, B], "null", None),
    ],
)  # fmt: skip
def test_a_value_goes_to_the_only_branch_that_fits(kind: Json, text: str, raw: object) -> None:
    assert taken(kind, parse_exact(text.encode())) == raw


@pytest.mark.parametrize(
    ("kind", "value", "raw"),
    [
        (["null", MONEY, "string"], Decimal(7), ("bytes", b"\x02\xbc")),
        (["null", MONEY, "double", "string"], Decimal(7), ("bytes", b"\x02\xbc")),
        (["null", DAY, MICROS, "string"], dt.date(1970, 1, 2), ("int", 1)),
        (["null", DAY, MICROS], dt.datetime(1970, 1, 1, tzinfo=dt.UTC), ("long", 0)),
        (["null", "bytes", "string"], b"x", ("bytes", b"x")),
        (["null", "float", "double"], 0.1 + 0.2, ("double", 0.1 + 0.2)),
        (["null", "float"], 0.1 + 0.2, ("float", 0.30000001192092896)),
    ],
)
def test_a_value_of_python_is_taken_by_the_branch_of_its_kind(
    kind: Json, value: object, raw: object
) -> None:
    assert taken(kind, value) == raw


@pytest.mark.parametrize(
    ("kind", "value", "names"),
    [
        (["null", MONEY, "string"], "7.00", "bytes (decimal), string"),
        (["null", DAY, "string"], "2026-11-28", "int (date), string"),
        (["null", "bytes", "string"], "TQ==", "bytes, string"),
        (["null", COLOUR, "string"], "rgb", "Colour, string"),
        (["null", "int", "long"], 5, "int, long"),
        (["null", "float", "double"], 0.5, "float, double"),
        (["null", B, {"type": "map", "values": "string"}], {"n": "x"}, "B, map"),
    ],
)
def test_where_several_branches_keep_a_value_the_refusal_names_them(
    kind: Json, value: object, names: str
) -> None:
    said = refusal(kind, value)
    assert said.startswith("data.v: ")
    assert f"fits several branches of its union ({names}): say which, as {{" in said


def test_if_every_record_needs_a_default_none_is_invented() -> None:
    assert refusal(["null", A, B2], {"n": "x"}) == (
        "data.v: an object with defaults filled in, fits several branches of its union (A, B2):"
        ' say which, as {"A": ...}'
    )


def test_a_named_branch_reports_what_is_wrong_with_its_value() -> None:
    assert refusal(["null", A, B], {"B": {"m": 5}}) == (
        "data.v.B.m: there is no such field; data.v.B.n: is missing"
    )


def test_a_short_name_of_two_branches_is_given_in_full() -> None:
    kind: Json = ["null", B, {**cast("dict[str, Json]", B), "namespace": "other"}]
    assert "(tests.B, other.B): say which" in refusal(kind, {"n": "x"})
    assert taken(kind, {"other.B": {"n": "x"}}) == ("other.B", {"n": "x"})


@pytest.mark.case("rounding-on-input")
@pytest.mark.parametrize(
    ("kind", "text", "why"),
    [
        ("float", "16777217", "data.v: 16777217 would be rounded to 16777216.0 in a float"),
        ("float", "0.30000000000000004", "would be rounded to 0.3 in a float"),
        ("double", "9007199254740993", "would be rounded to 9007199254740992.0 in a double"),
        ("double", "0.1234567890123456789", "would be rounded to"),
        ("float", "3.5e38", "3.5e38 does not fit into a float"),
        ("float", "1e-60", "1e-60 would be rounded to 0.0 in a float"),
        ("double", "1e400", "1e400 does not fit into a double"),
        ("double", "1e-400", "1e-400 would be rounded to 0.0 in a double"),
        ("double", "1e-99999999999999999999999999", "would be rounded to 0.0 in a double"),
        ("double", "1e99999999999999999999999999", "does not fit into a double"),
        ("double", "NaN", "data.v: NaN is not finite, which JSON cannot express"),
        ("float", "-Infinity", "data.v: -Infinity is not finite, which JSON cannot express"),
        ("string", "NaN", "data.v: NaN is not text"),
        ("long", "1.0", "1.0 is not a whole number"),
        ("long", "1e3", "1e3 is not a whole number"),
        ("long", "9" * 5000, "data.v: a number of 5000 characters does not fit into a long"),
        ("double", "9" * 5000, "data.v: a number of 5000 characters does not fit into a double"),
        ("double", "9" * 400, "does not fit into a double"),
        (MONEY, "12.5", "12.5 is a binary fraction: write the decimal as text"),
        (MONEY, "9" * 5000, "data.v: a number of 5000 characters is"),
        (MONEY, '"%s"' % ("9" * 5000), "is not a decimal such as 12.50"),
        (MONEY, '"007"', "'007' is not a decimal such as 12.50"),
        ("bytes", '"TR=="', "'TR==' is not base64 text: its last bits are lost, 'TQ==' would be"),
        ({"type": "long", "json": "string"}, '"007"', "'007' is not a whole number"),
        ("string", '"\\ud800"', "contains half a surrogate pair"),
        ({"type": "map", "values": "int"}, '{"\\ud800":1}', "contains half a surrogate pair"),
    ],
)
def test_what_would_be_delivered_as_something_else_is_refused(
    kind: Json, text: str, why: str
) -> None:
    said = refusal(kind, parse_exact(text.encode()))
    assert why in said
    assert said.isascii()
    assert len(said) < 300


@pytest.mark.parametrize(
    ("kind", "text", "raw"),
    [
        ("float", "0.7", 0.699999988079071),
        ("float", "7e-1", 0.699999988079071),
        ("float", "16777216", 16777216.0),
        ("float", "3.4028235e38", 3.4028234663852886e38),
        ("float", "1e-45", 1.401298464324817e-45),
        ("double", "0.1", 0.1),
        ("double", "1e23", 1e23),
        ("double", str(10**23), 1e23),
        ("double", "9007199254740992", 2.0**53),
        ("double", "1.50000", 1.5),
        ("double", "-0.0", -0.0),
    ],
)
def test_a_number_that_is_delivered_as_given_is_accepted(
    kind: Json, text: str, raw: float
) -> None:
    assert repr(taken(kind, parse_exact(text.encode()))) == repr(raw)


@pytest.mark.parametrize(
    ("kind", "value", "why"),
    [
        ("float", 3.5e38, "3.5e+38 does not fit into a float"),
        ("float", float("nan"), "nan is not finite"),
        ("long", 10**5000, "a whole number of about 5000 digits does not fit into a long"),
        ("double", 10**5000, "a whole number of about 5000 digits does not fit into a double"),
        (MONEY, 10**5000, "a whole number of about 5000 digits is not a decimal of bearable size"),
        (MONEY, Decimal("1e1000000"), "has more than 10 digits in all"),
        (MONEY, Decimal("1e-1000000"), "has more than 2 digits after the point"),
        ("string", [[[10**5000]]], "an array is not text"),
    ],
    ids=range(8),
)
def test_a_value_of_python_that_does_not_fit_is_refused_quickly(
    kind: Json, value: object, why: str
) -> None:
    begun = time.process_time()
    assert why in refusal(kind, value)
    assert time.process_time() - begun < 1


def test_a_bounded_number_of_problems_is_named() -> None:
    items: Json = {"type": "array", "items": B}
    with pytest.raises(EventRefused) as refused:
        taken(items, json.loads("[" + ",".join(['{"m":1}'] * 100_000) + "]"))
    assert len(refused.value.problems) == 20
    assert refused.value.problems[-1] == "data.v[9].n: is missing"
