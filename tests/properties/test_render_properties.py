"""Rendering against an independent oracle: fastavro's own reading of logical types."""

import base64
import contextlib
import datetime as dt
import io
import json
from decimal import Decimal
from typing import cast

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.avro.reader import SchemaRefused, read_schema
from hookstream.core.avro.render import NotRenderable, compile_value, needs_branch_names
from hookstream.core.model.json import Json, JsonObject

DECIMAL: JsonObject = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 3}
SCHEMA: JsonObject = {
    "type": "record",
    "name": "Everything",
    "namespace": "t",
    "fields": [
        {"name": "text", "type": ["null", "string"]},
        {"name": "flag", "type": "boolean"},
        {"name": "small", "type": "int"},
        {"name": "large", "type": {"type": "long", "json": "string"}},
        {"name": "ratio", "type": "double"},
        {"name": "raw", "type": "bytes"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "seen", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}]},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "time", "type": {"type": "long", "logicalType": "time-micros"}},
        {"name": "prices", "type": {"type": "array", "items": DECIMAL}},
        {"name": "breaks", "type": {"type": "map", "values": ["null", DECIMAL]}},
        {
            "name": "item",
            "type": [
                "null",
                {"type": "record", "name": "Sheet", "fields": [{"name": "x", "type": DECIMAL}]},
                {"type": "record", "name": "Roll", "fields": [{"name": "x", "type": "bytes"}]},
            ],
        },
    ],
}

times = st.datetimes(dt.datetime(1971, 1, 1), dt.datetime(2400, 1, 1), timezones=st.just(dt.UTC))  # noqa: DTZ001 - Hypothesis takes naive bounds
decimals = st.decimals(-999_999, 999_999, places=3)
strings = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
values = st.fixed_dictionaries(
    {
        "text": st.none() | strings,
        "flag": st.booleans(),
        "small": st.integers(-(2**31), 2**31 - 1),
        "large": st.integers(-(2**63), 2**63 - 1),
        "ratio": st.floats(allow_nan=False, allow_infinity=False),
        "raw": st.binary(max_size=5),
        "at": times,
        "seen": st.none()
        | times.map(lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)),
        "day": st.dates(),
        "time": st.times(),
        "prices": st.lists(decimals, max_size=3),
        "breaks": st.dictionaries(strings, st.none() | decimals, max_size=3),
        "item": st.none()
        | st.tuples(st.just("t.Sheet"), st.fixed_dictionaries({"x": decimals}))
        | st.tuples(st.just("t.Roll"), st.fixed_dictionaries({"x": st.binary(max_size=3)})),
    }
)


def bare(schema: Json) -> Json:
    if isinstance(schema, list):
        return [bare(part) for part in schema]
    if isinstance(schema, dict):
        return {name: bare(part) for name, part in schema.items() if name != "logicalType"}
    return schema


DIGITS = {"at": "microseconds", "seen": "milliseconds"}


def expected(name: str, value: object) -> object:
    match value:
        case tuple():
            return expected(name, value[1])
        case list():
            return [expected(name, part) for part in value]
        case dict():
            return {key: expected(name, part) for key, part in value.items()}
        case int() if name == "large":
            return str(value)
        case _:
            return plain(name, value)


def plain(name: str, value: object) -> object:
    match value:
        case Decimal():
            return f"{value + 0:.3f}"  # no negative zero
        case dt.datetime():
            return value.isoformat("T", DIGITS[name]).replace("+00:00", "Z")
        case dt.time():
            return value.isoformat("microseconds")
        case dt.date():
            return value.isoformat()
        case bytes():
            return base64.b64encode(value).decode()
        case _:
            return value


PARSED = fastavro.parse_schema(cast("dict[str, object]", SCHEMA))
RAW = fastavro.parse_schema(cast("dict[str, object]", bare(SCHEMA)))
RENDER = compile_value(read_schema(SCHEMA))


@given(values)
def test_rendered_data_show_what_was_written(value: dict[str, object]) -> None:
    written = io.BytesIO()
    fastavro.schemaless_writer(written, PARSED, value)
    written.seek(0)
    raw = fastavro.schemaless_reader(
        written, RAW, None, return_named_type=needs_branch_names(read_schema(SCHEMA))
    )

    rendered = RENDER(raw)

    assert rendered == {name: expected(name, part) for name, part in value.items()}
    assert json.loads(json.dumps(rendered, allow_nan=False)) == rendered


@given(values)
def test_the_json_type_of_a_field_never_depends_on_its_value(value: dict[str, object]) -> None:
    def shape(rendered: Json) -> object:
        if isinstance(rendered, dict):
            return {name: type(part) for name, part in rendered.items() if part is not None}
        return type(rendered)

    written = io.BytesIO()
    fastavro.schemaless_writer(written, PARSED, value)
    written.seek(0)

    rendered = RENDER(fastavro.schemaless_reader(written, RAW, None, return_named_type=True))

    found = shape(rendered)
    assert isinstance(found, dict)
    always = {
        "text": str,
        "flag": bool,
        "small": int,
        "large": str,
        "ratio": float,
        "raw": str,
        "at": str,
        "seen": str,
        "day": str,
        "time": str,
        "prices": list,
        "breaks": dict,
        "item": dict,
    }
    assert found == {name: always[name] for name in found}


words = st.sampled_from(
    [
        "type", "name", "fields", "items", "values", "logicalType", "precision", "scale", "size",
        "record", "array", "map", "fixed", "enum", "long", "bytes", "decimal", "uuid", "json",
        "string", "int", "null", "R",
    ]
)  # fmt: skip
trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)


@given(trees)
def test_no_schema_breaks_the_compiler(schema: Json) -> None:
    """Schemas come from outside: an unknown one is refused, and nothing else happens."""
    with contextlib.suppress(NotRenderable, SchemaRefused):
        compile_value(read_schema(schema))


def test_a_refused_union_is_named_with_its_path() -> None:
    schema: JsonObject = {
        "type": "record",
        "name": "R",
        "fields": [
            {
                "name": "when",
                "type": [
                    {"type": "int", "logicalType": "date"},
                    {"type": "long", "logicalType": "timestamp-micros"},
                ],
            }
        ],
    }

    with pytest.raises(NotRenderable, match=r"^when is a union with 2 int types that look alike$"):
        compile_value(read_schema(schema))
