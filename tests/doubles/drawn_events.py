"""Drawn event schemas with values of every type, and both tools for events without a cluster."""

import struct
from collections.abc import Callable
from functools import lru_cache
from itertools import count
from typing import TypeAlias, cast

import orjson
from hypothesis import assume
from hypothesis import strategies as st
from tests.doubles.schemas import event_fields, event_schema, field

from hookstream.adapters.avro.codec import AvroCodec
from hookstream.adapters.avro.encoder import EventEncoder
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.model.event import Event, Identified
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.outcome import Refused
from hookstream.core.model.record import Record
from hookstream.entry.admin.event_lines import read_line

Raw: TypeAlias = st.SearchStrategy[object]
"""Values as the writer takes them: logical types raw, a union's value with its branch's name."""
Typed: TypeAlias = tuple[Json, str, Raw]
"""A type, what it is called in a union, and its values."""


def logical(kind: str, rule: str, low: int, high: int) -> Typed:
    return {"type": kind, "logicalType": rule}, kind, st.integers(low, high)


def single(value: float) -> float:
    found: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return found


def unscaled(size: int | None) -> Callable[[int], bytes]:
    def as_bytes(number: int) -> bytes:
        return number.to_bytes(size or number.bit_length() // 8 + 1, "big", signed=True)

    return as_bytes


TEXTS = st.text(max_size=4) | st.dates().map(str) | st.uuids().map(str) | st.sampled_from(
    [
        "7.00", "007", "7", "-0.01", "2026-11-28", "TQ==", "TR==", "abcd", "A", "AA", "5", "",
        "2026-11-28T08:00:00.000Z", "2026-11-28T08:00:00.000000Z", "2026-11-28T08:00:00.000000",
        "08:15:30.250", "08:15:30.250000", "P1M2DT0.003S", "7d5f6d9e-6f2e-4b8e-9d53-6d7f2f1a4c11",
        "string", "bytes", "null", "NaN", "true",
    ]
)  # fmt: skip
KEYS = st.text(max_size=3) | st.sampled_from(["string", "bytes", "int", "a", "b", "R1", "map"])
_FIRST, _LAST = -62_135_596_800, 253_402_300_799
PLAIN: list[Typed] = [
    ("boolean", "boolean", st.booleans()),
    ("int", "int", st.integers(-(2**31), 2**31 - 1) | st.integers(-3, 9)),
    ("long", "long", st.integers(-(2**53) + 1, 2**53 - 1) | st.integers(-3, 9)),
    ({"type": "long", "json": "string"}, "long", st.integers(-(2**63), 2**63 - 1)),
    ("float", "float", st.floats(width=32, allow_nan=False, allow_infinity=False)),
    ("float", "float", st.sampled_from([single(0.7), 2.0, 16777216.0, 2.0**30])),
    (
        "double",
        "double",
        st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.7, 2.0]),
    ),
    ("bytes", "bytes", st.binary(max_size=6)),
    ("string", "string", TEXTS),
    ({"type": "string", "logicalType": "uuid"}, "string", st.uuids().map(str)),
    (
        {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
        "bytes",
        st.integers(-999_999_999, 999_999_999).map(unscaled(None)),
    ),
    (
        {"type": "bytes", "logicalType": "decimal", "precision": 600, "scale": 300},
        "bytes",
        st.integers(-(10**600) + 1, 10**600 - 1).map(unscaled(None)),
    ),
    (
        {"type": "bytes", "logicalType": "nobody-knows"},
        "bytes",
        st.binary(max_size=4),
    ),
    logical("int", "date", _FIRST // 86_400, _LAST // 86_400),
    logical("int", "time-millis", 0, 86_399_999),
    logical("long", "time-micros", 0, 86_399_999_999),
    logical("long", "timestamp-millis", _FIRST * 1_000, _LAST * 1_000 + 999),
    logical("long", "timestamp-micros", _FIRST * 10**6, _LAST * 10**6 + 999_999),
    logical("long", "timestamp-nanos", -(2**63), 2**63 - 1),
    logical("long", "local-timestamp-millis", _FIRST * 1_000, _LAST * 1_000 + 999),
    logical("long", "local-timestamp-micros", _FIRST * 10**6, _LAST * 10**6 + 999_999),
    logical("long", "local-timestamp-nanos", -(2**63), 2**63 - 1),
]


_NUMBERS = st.shared(st.builds(count, st.just(1)), key="numbers of an example's names")
_NAMED_KINDS = st.sampled_from(["enum", "fixed", "uuid", "duration", "decimal"])
_SIZES = st.sampled_from([1, 3, 12, 16])


@st.composite
def named(draw: st.DrawFn) -> Typed:
    name = f"t.N{next(draw(_NUMBERS))}"
    match draw(_NAMED_KINDS):
        case "enum":
            symbols = ["A", "AA", "string", "NaN"]
            return (
                {"type": "enum", "name": name, "symbols": [*symbols]},
                name,
                st.sampled_from(symbols),
            )
        case "fixed":
            size = draw(_SIZES)
            return (
                {"type": "fixed", "name": name, "size": size},
                name,
                st.binary(min_size=size, max_size=size),
            )
        case "uuid":
            schema: Json = {"type": "fixed", "name": name, "size": 16, "logicalType": "uuid"}
            return schema, name, st.binary(min_size=16, max_size=16)
        case "duration":
            schema = {"type": "fixed", "name": name, "size": 12, "logicalType": "duration"}
            return schema, name, st.binary(min_size=12, max_size=12)
        case _:
            schema = {
                "type": "fixed",
                "name": name,
                "size": 5,
                "logicalType": "decimal",
                "precision": 9,
                "scale": 2,
            }
            return schema, name, st.integers(-(10**9) + 1, 10**9 - 1).map(unscaled(5))


# Each strategy is made once: a new one is examined before it draws, which took longer than to draw.
_PLAIN = st.sampled_from(PLAIN)
_LEAVES = st.sampled_from(["plain", "plain", "named"])
_KINDS = st.sampled_from(
    ["plain", "plain", "named", "union", "union", "array", "map", "record"],
)
_PARTS = st.lists(st.sampled_from("abn"), min_size=1, max_size=2, unique=True)
_FIELDS = st.lists(st.sampled_from("uvw"), min_size=1, max_size=2, unique=True)


@st.composite
def types(draw: st.DrawFn, depth: int) -> Typed:
    match draw(_KINDS if depth else _LEAVES):
        case "plain":
            return draw(_PLAIN)
        case "named":
            return draw(_NAMED)
        case "array":
            inner, _, values = draw(_TYPES[depth - 1])
            return {"type": "array", "items": inner}, "array", st.lists(values, max_size=2)
        case "map":
            inner, _, values = draw(_TYPES[depth - 1])
            maps = st.dictionaries(KEYS, values, max_size=2)
            return {"type": "map", "values": inner}, "map", maps
        case "record":
            return draw(_RECORDS[depth - 1])
        case _:
            return draw(_UNIONS[depth - 1])


@st.composite
def records(draw: st.DrawFn, depth: int) -> Typed:
    name = f"t.R{next(draw(_NUMBERS))}"
    fields: list[Json] = []
    values: dict[str, Raw] = {}
    for part in draw(_PARTS):
        kind, _, strategy = draw(_TYPES[depth])
        as_text: JsonObject = {"json": "string"} if draw(st.booleans()) else {}
        default: JsonObject = {"default": 0} if kind == "int" and draw(st.booleans()) else {}
        fields.append(field(part, kind, **as_text, **default))
        values[part] = strategy
    record: Json = {"type": "record", "name": name, "fields": fields}
    return record, name, cast("Raw", st.fixed_dictionaries(values))


@st.composite
def unions(draw: st.DrawFn, depth: int) -> Typed:
    branches: list[Typed] = []
    for branch in draw(_BRANCHES[depth]):
        if isinstance(branch[0], list) or branch[1] in [name for _, name, _ in branches]:
            continue
        branches.append(branch)
    assume(branches)
    schemas = [schema for schema, _, _ in branches]
    values = [st.tuples(st.just(name), strategy) for _, name, strategy in branches]
    if draw(st.booleans()):
        return ["null", *schemas], "union", st.none() | st.one_of(cast("list[Raw]", values))
    return schemas, "union", st.one_of(cast("list[Raw]", values))


_NAMED = named()
_TYPES = [types(depth) for depth in range(4)]
_RECORDS = [records(depth) for depth in range(3)]
_UNIONS = [unions(depth) for depth in range(3)]
_BRANCHES = [st.lists(_PLAIN | _NAMED | each, min_size=1, max_size=4) for each in _TYPES[:3]]


@st.composite
def events(draw: st.DrawFn) -> tuple[JsonObject, JsonObject]:
    """Return a schema, and the data of an event as the writer takes them."""
    fields, data = [], {}
    for name in draw(_FIELDS):
        kind, _, values = draw(_TYPES[3])
        as_text: JsonObject = {"json": "string"} if draw(st.booleans()) else {}
        fields.append(field(name, kind, **as_text))
        data[name] = draw(values)
    return event_schema(*fields), cast("JsonObject", data)


def tools_of(tree: JsonObject) -> "Tools":
    """Return the tools of a schema, made once for those who have the same one in each of their examples."""
    return _tools_of(orjson.dumps(tree))


@lru_cache(128)
def _tools_of(tree: bytes) -> "Tools":
    return Tools(orjson.loads(tree))


class Tools:
    """`events send` and `events tail` without a cluster between them."""

    def __init__(self, tree: JsonObject) -> None:
        self.book = SchemaBook()
        self.schema = self.book.schema(self.book.publish(tree))
        self._codec = AvroCodec(self.book)
        self._encoder = EventEncoder(self.book)

    def written(self, data: JsonObject) -> bytes:
        assert self.schema is not None
        return self.schema.encode(event_fields(data))

    def _event(self, value: bytes) -> Event:
        record = Record("t", 0, 0, 0, None, value, ())
        found = self._codec.identify(record)
        assert isinstance(found, Identified)
        decoded = self._codec.decode(found, record)
        assert isinstance(decoded, Event)
        return decoded

    def delivered(self, value: bytes) -> JsonObject | Refused:
        return self._codec.document(self._event(value), 1)

    def shown(self, value: bytes) -> JsonObject | Refused:
        return self._codec.shown(self._event(value), 1)

    def sent(self, line: bytes) -> bytes:
        read = read_line(line)
        fields = {
            "event_id": read.event_id,
            "occurred_at": read.timestamp,
            "entity_id": read.entity_id,
            "environment": read.environment,
            "data": read.data,
        }
        return self._encoder.encode(read.event_type, fields, read.version)
