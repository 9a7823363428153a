"""What is handed in becomes Avro values without loss, or is refused with its path."""

import base64
import datetime as dt
import functools
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.doubles.schemas import event_schema, field

from hookstream.adapters.avro.json_input import compile_input
from hookstream.adapters.avro.published import published
from hookstream.core.avro.render import compile_value
from hookstream.core.model.json import Json, JsonObject
from hookstream.errors import InputRefused

MONEY: Json = {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}
FIXED_MONEY: Json = {
    "type": "fixed",
    "name": "Money",
    "size": 4,
    "logicalType": "decimal",
    "precision": 6,
    "scale": 2,
}
MICROS: Json = {"type": "long", "logicalType": "timestamp-micros"}
MILLIS: Json = {"type": "long", "logicalType": "timestamp-millis"}
LOCAL: Json = {"type": "long", "logicalType": "local-timestamp-micros"}
DAY: Json = {"type": "int", "logicalType": "date"}
CLOCK: Json = {"type": "int", "logicalType": "time-millis"}
UUID: Json = {"type": "string", "logicalType": "uuid"}
COLOUR: Json = {"type": "enum", "name": "Colour", "symbols": ["cmyk", "rgb"]}
POINT: Json = {"type": "record", "name": "Point", "fields": [field("x", "int")]}


def taken(kind: Json, value: object) -> object:
    """What one field `v` of a type becomes."""
    return taken_data([field("v", kind)], {"v": value})["v"]


def taken_data(fields: list[JsonObject], data: object) -> dict[str, object]:
    return take_data(compile_input(published(event_schema(*fields), 1)), data)


def take_data(take: Callable[[object], dict[str, object]], data: object) -> dict[str, object]:
    envelope = {
        "event_id": "7d5f6d9e-6f2e-4b8e-9d53-6d7f2f1a4c11",
        "occurred_at": "2026-11-24T08:15:30Z",
        "entity_id": "job-1",
        "environment": "production",
    }
    return cast("dict[str, object]", take({**envelope, "data": data})["data"])


@pytest.mark.parametrize(
    ("kind", "value", "raw"),
    [
        (MONEY, "12.50", b"\x04\xe2"),
        (MONEY, Decimal("-0.01"), b"\xff"),
        (MONEY, 7, b"\x02\xbc"),
        (MONEY, "1.28", b"\x00\x80"),
        (FIXED_MONEY, "12.50", b"\x00\x00\x04\xe2"),
        (MICROS, "2026-11-24T09:15:30.000001+01:00", 1_795_508_130_000_001),
        (MILLIS, dt.datetime(2026, 11, 24, 8, 15, 30, tzinfo=dt.UTC), 1_795_508_130_000),
        (LOCAL, "2026-11-24T08:15:30", 1_795_508_130_000_000),
        (DAY, "1969-12-31", -1),
        (DAY, dt.date(1970, 1, 2), 1),
        (CLOCK, "00:00:01.250", 1_250),
        (UUID, uuid.UUID(int=0), "00000000-0000-0000-0000-000000000000"),
        ("bytes", "AAE=", b"\x00\x01"),
        ("bytes", b"\x00\x01", b"\x00\x01"),
        ({"type": "fixed", "name": "Two", "size": 2}, "AAE=", b"\x00\x01"),
        ("double", 1, 1.0),
        ("float", 0.5, 0.5),
        ("boolean", True, True),
        ("long", -(2**63), -(2**63)),
        ({"type": "long", "json": "string"}, "9007199254740993", 2**53 + 1),
        (COLOUR, "rgb", "rgb"),
        (["null", "string"], None, None),
        (["null", "string"], "x", ("string", "x")),
        (["null", "int", "string"], "x", ("string", "x")),
        (["int", POINT], {"x": 1}, ("tests.Point", {"x": 1})),
        ({"type": "map", "values": MONEY}, {"a": "1.00"}, {"a": b"\x64"}),
        ({"type": "array", "items": DAY}, ["1970-01-02"], [1]),
    ],
)
def test_a_value_that_fits_is_accepted(kind: Json, value: object, raw: object) -> None:
    assert taken(kind, value) == raw


@pytest.mark.parametrize(
    ("kind", "value", "why"),
    [
        (MONEY, 12.5, "12.5 is a binary fraction: write the decimal as text"),
        (MONEY, "12.505", "'12.505' has more than 2 digits after the point"),
        (MONEY, "10000.00", "'10000.00' has more than 6 digits in all"),
        (MONEY, "1e3", "'1e3' is not a decimal such as 12.50"),
        (MONEY, "١٢", "'\\u0661\\u0662' is not a decimal such as 12.50"),
        (MONEY, Decimal("NaN"), "Decimal('NaN') is not a finite decimal"),
        (MONEY, Decimal("1E+999999"), "Decimal('1E+999999') has more than 6 digits in all"),
        (MONEY, True, "True is not a decimal"),
        (MICROS, "2026-11-24T08:15:30", "'2026-11-24T08:15:30' is not a time such as"),
        (MICROS, "2026-11-24", "'2026-11-24' is not a time such as 2026-11-24T08:15:30.250Z"),
        (
            MICROS,
            "2026-11-24T08:15:30.1234567Z",
            "'2026-11-24T08:15:30.1234567Z' is finer than a micro",
        ),
        (MICROS, 1_795_508_130, "1795508130 is not a time such as"),
        (MILLIS, "2026-11-24T08:15:30.0001Z", "'2026-11-24T08:15:30.0001Z' is finer than a milli"),
        (LOCAL, "2026-11-24T08:15:30Z", "'2026-11-24T08:15:30Z' is not a time such as"),
        (DAY, dt.datetime(2026, 11, 24, tzinfo=dt.UTC), "datetime.datetime(2026, 11, 24"),
        (DAY, "2026-02-30", "'2026-02-30' is not a date such as 2026-11-24"),
        (CLOCK, "25:00:00", "'25:00:00' is not a time of day such as 08:15:30.250"),
        (UUID, "job-1", "'job-1' is not a UUID such as"),
        ("bytes", "no base64!", "'no base64!' is not base64 text"),
        ({"type": "fixed", "name": "Two", "size": 2}, "AA==", "has 1 bytes and must have 2"),
        ("int", 2**31, "2147483648 does not fit into an int"),
        ("int", 1.0, "1.0 is not a whole number"),
        ("int", True, "True is not a whole number"),
        ("long", "5", "'5' is not a whole number"),
        ("double", float("inf"), "inf is not finite, which JSON cannot express"),
        ("float", 1e39, "1e+39 does not fit into a float"),
        ("double", 10**400, "does not fit into a double"),
        ("boolean", 1, "1 is not true or false"),
        ("null", 0, "0 is not null"),
        ("string", "\ud800", "'\\ud800' contains half a surrogate pair"),
        ("string", 5, "5 is not text"),
        (COLOUR, "CMYK", "'CMYK' is none of cmyk, rgb"),
        ({"type": "map", "values": "int"}, {"a": "x"}, "'x' is not a whole number"),
        ({"type": "array", "items": "int"}, "x", "'x' is not an array"),
        (POINT, 5, "5 is not an object"),
        (
            ["null", "int", "string"],
            1.5,
            "fits no branch of its union: as int: 1.5 is not a whole number; as string: 1.5 is not",
        ),
    ],
)
def test_a_value_that_does_not_fit_is_refused(kind: Json, value: object, why: str) -> None:
    """Nothing is rounded, truncated or guessed: the sender gets an error, not the partner."""
    with pytest.raises(InputRefused) as refused:
        taken(kind, value)
    assert str(refused.value).startswith("data.v")
    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({}, "data.rows: is missing"),
        ({"rows": [{"x": 1}, {"x": "1"}]}, "data.rows[1].x: '1' is not a whole number"),
        ({"rows": [], "row": 1}, "data.row: there is no such field (did you mean rows?)"),
        ({"rows": [], "names": {"a b": 5}}, "data.names['a b']: 5 is not text"),
        ([], "data: [] is not an object"),
    ],
)
def test_the_path_leads_to_what_is_wrong(data: object, why: str) -> None:
    fields = [
        field("rows", {"type": "array", "items": POINT}),
        field("names", {"type": "map", "values": "string"}, default={}),
    ]
    with pytest.raises(InputRefused, match="data") as refused:
        taken_data(fields, data)
    assert str(refused.value) == why


def test_what_is_left_out_has_the_default_of_its_schema() -> None:
    fields = [
        field("price", MONEY, default="\u0004\u00e2"),
        field("note", ["null", "string"], default=None),
        field("point", POINT, default={"x": 3}),
        field("days", {"type": "array", "items": DAY}, default=[1]),
    ]
    assert taken_data(fields, {}) == {
        "price": b"\x04\xe2",
        "note": None,
        "point": {"x": 3},
        "days": [1],
    }


# Both ways: accepted input is delivered as given.

_values: dict[str, tuple[Json, st.SearchStrategy[Json]]] = {
    "decimal": (MONEY, st.integers(-999_999, 999_999).map(lambda n: str(Decimal(n).scaleb(-2)))),
    "instant": (
        MICROS,
        st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30)).map(  # noqa: DTZ001
            lambda moment: moment.isoformat(timespec="microseconds") + "Z"
        ),
    ),
    "day": (DAY, st.dates().map(lambda day: day.isoformat())),
    "bytes": ("bytes", st.binary(max_size=40).map(lambda b: base64.b64encode(b).decode())),
    "long": ("long", st.integers(-(2**53) + 1, 2**53 - 1)),
    "long text": ({"type": "long", "json": "string"}, st.integers(-(2**63), 2**63 - 1).map(str)),
    "double": ("double", st.floats(allow_nan=False, allow_infinity=False)),
    "text": ("string", st.text()),
    "symbol": (COLOUR, st.sampled_from(["cmyk", "rgb"])),
    "nullable": (["null", DAY], st.one_of(st.none(), st.dates().map(lambda d: d.isoformat()))),
    "rows": (
        {"type": "array", "items": POINT},
        st.lists(st.fixed_dictionaries({"x": st.integers(-(2**31), 2**31 - 1)}), max_size=3),
    ),
}


@functools.cache
def both_ways(name: str) -> Callable[[Json], Json]:
    """Compiled once a type: takes a value, and renders what became of it."""
    schema = published(event_schema(field("v", _values[name][0])), 1)
    assert schema.data is not None
    take, render = compile_input(schema), compile_value(schema.data)

    def there_and_back(value: Json) -> Json:
        taken = take_data(take, {"v": value})["v"]
        # Of a union, the writer is given a pair of a branch's name and the value.
        decoded = taken[1] if isinstance(taken, tuple) else taken
        return cast("JsonObject", render({"v": decoded}))["v"]

    return there_and_back


@pytest.mark.parametrize("name", _values)
@given(choose=st.data())
def test_accepted_input_is_rendered_as_given(name: str, choose: st.DataObject) -> None:
    value = choose.draw(_values[name][1])
    assert both_ways(name)(value) == value
