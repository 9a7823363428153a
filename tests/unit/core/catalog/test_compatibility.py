"""One schema's records are read by another, or are refused beforehand."""

import time

import pytest

from hookstream.core.catalog.compatibility import incompatibilities, vanished
from hookstream.core.model.json import Json, JsonObject

DECIMAL: JsonObject = {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}
TENTHS: JsonObject = {**DECIMAL, "scale": 1}
LONGER: JsonObject = {**DECIMAL, "precision": 13}
MICROS: JsonObject = {"type": "long", "logicalType": "timestamp-micros"}
MILLIS: JsonObject = {"type": "long", "logicalType": "timestamp-millis"}


def field(name: str, kind: Json, **more: Json) -> JsonObject:
    return {"name": name, "type": kind, **more}


def record(*fields: Json, name: str = "printprice.Job", **more: Json) -> JsonObject:
    return {"type": "record", "name": name, "fields": list(fields), **more}


def enum(*symbols: Json, name: str = "printprice.Stage", **more: Json) -> JsonObject:
    return {"type": "enum", "name": name, "symbols": list(symbols), **more}


def fixed(size: int, **more: Json) -> JsonObject:
    return {"type": "fixed", "name": "printprice.Code", "size": size, **more}


@pytest.mark.parametrize(
    ("writer", "reader"),
    [
        ("int", "int"),
        ("int", "long"),
        ("int", "double"),
        ("long", "float"),
        ("float", "double"),
        ("string", "bytes"),
        (DECIMAL, DECIMAL),
        ("int", ["null", "int"]),
        ("int", ["null", "double"]),
        (["null", "int"], ["null", "string", "long"]),
        (["int"], "long"),
        ({"type": "array", "items": "int"}, {"type": "array", "items": "long"}),
        ({"type": "map", "values": "int"}, {"type": "map", "values": ["null", "int"]}),
        (enum("A"), enum("B", "A")),
        (enum("A", "B"), enum("A", default="A")),
        (enum("A", name="printprice.Old"), enum("A", aliases=["Old"])),
        (fixed(4), fixed(4)),
        (record(field("a", "int"), field("b", "int")), record(field("b", "long"))),
        (record(), record(field("a", "int", default=3))),
        (record(field("old", "int")), record(field("new", "int", aliases=["old"]))),
        (record(name="printprice.Old"), record(aliases=["Old"])),
    ],
)
def test_what_the_rules_resolve_is_compatible(writer: Json, reader: Json) -> None:
    assert incompatibilities(writer, reader) == []


@pytest.mark.parametrize(
    ("writer", "reader", "why"),
    [
        ("long", "int", "long cannot be read as int"),
        ("bytes", "string", "bytes cannot be read as string: they need not be text"),
        ("string", "int", "string cannot be read as int"),
        ("int", {"type": "array", "items": "int"}, "int cannot be read as an array"),
        ("int", ["null", "string"], "int is none of the reader's branches (null, string)"),
        (["null", "int"], "int", "null cannot be read as int"),
        (
            {"type": "map", "values": "string"},
            {"type": "map", "values": "int"},
            "{}: string cannot be read as int",
        ),
        (
            enum("A", "B", "C"),
            enum("A"),
            "the symbols B, C are unknown to the reader's printprice.Stage, which has no default",
        ),
        (
            enum("A"),
            enum("A", name="printprice.Other"),
            "printprice.Stage cannot be read as printprice.Other",
        ),
        (fixed(4), fixed(5), "printprice.Code has 4 bytes, not 5"),
        (
            record(name="printprice.Job"),
            record(name="other.Job"),
            "printprice.Job cannot be read as other.Job",
        ),
        (
            record(field("data", record(field("a", "int"), name="D"))),
            record(field("data", record(field("a", "string"), field("b", "int"), name="D"))),
            "data.a: int cannot be read as string",
        ),
        (
            record(field("old", "int"), field("new", "int")),
            record(field("new", "int", aliases=["old"])),
            "new: the writer's fields old and new would both fill it",
        ),
    ],
)
def test_an_incompatibility_is_named_with_its_path(writer: Json, reader: Json, why: str) -> None:
    assert incompatibilities(writer, reader)[0] == why


@pytest.mark.parametrize(
    ("writer", "reader", "between"),
    [
        (DECIMAL, TENTHS, "decimal(12,2) would be read as decimal(12,1)"),
        (DECIMAL, LONGER, "decimal(12,2) would be read as decimal(13,2)"),
        (DECIMAL, "bytes", "decimal(12,2) would be read as no logical type"),
        (MILLIS, MICROS, "timestamp-millis would be read as timestamp-micros"),
        ("int", MICROS, "no logical type would be read as timestamp-micros"),
        (
            fixed(8, logicalType="decimal", precision=10, scale=2),
            fixed(8, logicalType="decimal", precision=10, scale=3),
            "decimal(10,2) would be read as decimal(10,3)",
        ),
    ],
)
def test_values_that_would_be_misread_are_incompatible(
    writer: Json, reader: Json, between: str
) -> None:
    """Avro's own rules compare bytes: 12.50 would arrive as 125.0, without an error."""
    assert incompatibilities(record(field("price", writer)), record(field("price", reader))) == [
        f"price: {between}: the values would be misread without a word"
    ]


def test_every_problem_is_named_not_only_the_first() -> None:
    writer = record(field("a", "int"), field("b", "string"))
    reader = record(field("a", "string"), field("b", "int"), field("c", "int"))
    assert incompatibilities(writer, reader) == [
        "a: int cannot be read as string",
        "b: string cannot be read as int",
        "c: the writer has no such field, and the reader has no default",
    ]


@pytest.mark.parametrize(
    ("kind", "default", "why"),
    [
        ("int", 2**31, "is no value of int"),
        ("long", 2**63, "is no value of long"),
        ("long", True, "is no value of long"),
        ("long", 1.0, "is no value of long"),
        ("double", 10**400, "is no value of double"),
        ("double", 2**53 + 1, "is no value of double"),
        ("double", float("inf"), "is no value of double"),
        ("float", 1e39, "is no value of float"),
        ("float", 16_777_217, "is no value of float"),
        ("bytes", "\u0100", "contains a character above U+00FF, which is not a byte"),
        (fixed(2), "abc", "is no value of printprice.Code"),
        (["null", "int"], "x", "is no value of its union"),
        (record(field("inner", "int"), name="printprice.Inner"), {}, "lacks the field inner"),
    ],
)
def test_a_default_that_would_be_rounded_or_does_not_fit_is_named(
    kind: Json, default: Json, why: str
) -> None:
    reader = record(field("a", kind, default=default))
    assert incompatibilities(record(), reader) == [f"a: its default {why}"]


def lists_of_lists(levels: int) -> JsonObject:
    """A record whose default of 10 empty objects makes 10 to the power of its levels."""
    inner = record(field("x", "int", default=1), name="n.Level0")
    for level in range(1, levels + 1):
        lists: Json = {"type": "array", "items": inner}
        inner = record(field("xs", lists, default=[{}] * 10), name=f"n.Level{level}")
    return inner


def test_a_default_that_would_fill_in_millions_is_named_and_not_made() -> None:
    """1.4 KB of a schema held a worker for five seconds at each event that lacked the field."""
    bearable = record(field("a", lists_of_lists(4), default={}))
    unbearable = record(field("a", lists_of_lists(9), default={}))
    assert incompatibilities(record(), bearable) == []
    assert incompatibilities(record(), unbearable) == [
        "a: its default takes more than 100,000 values to make"
    ]


def test_a_default_that_contains_itself_is_named() -> None:
    node = record(field("next", "n.Node", default={}), name="n.Node")
    assert incompatibilities(record(), record(field("a", node, default={}))) == [
        "a: its default contains itself without end"
    ]


MANY: list[Json] = [enum("A", name=f"n.E{number}") for number in range(3_000)]
OTHERS: list[Json] = [enum("A", name=f"m.E{number}") for number in range(3_000)]
NAMES = ", ".join(f"n.E{number}" for number in range(10))


@pytest.mark.parametrize(
    ("writer", "reader", "first"),
    [
        (record(field("u", MANY)), record(field("u", MANY)), []),
        (
            record(field("u", OTHERS)),
            record(field("u", MANY)),
            [f"u: m.E0 is none of the reader's branches ({NAMES}, ...)"],
        ),
        (
            record(*(field(f"a{number}", "int") for number in range(9_000))),
            record(*(field(f"b{number}", "int", default=0) for number in range(9_000))),
            [],
        ),
        (
            record(field("e", enum(*(f"A{number}" for number in range(20_000))))),
            record(
                field("e", enum(*(f"A{number}" for number in range(20_000, 0, -1)))),
            ),
            [
                "e: the symbols A0 are unknown to the reader's printprice.Stage, which has no default"
            ],
        ),
    ],
    ids=["as many branches", "other branches", "other fields", "symbols"],
)
def test_wide_schemas_are_compared_in_little_time(
    writer: Json, reader: Json, first: list[str]
) -> None:
    """A worker compares a pair at its first event: unions of 9,000 types took it 290 seconds."""
    began = time.process_time()
    found = incompatibilities(writer, reader)
    vanished(reader, writer)
    assert time.process_time() - began < 3
    assert found[:1] == first


def test_recursive_schemas_are_compared_to_an_end() -> None:
    """They are refused elsewhere; comparing them must still not hang."""
    node = record(field("next", ["null", "printprice.Job"]))
    assert (incompatibilities(node, node), vanished(node, node)) == ([], [])


def test_a_field_that_only_a_default_would_fill_has_vanished() -> None:
    """A partner on the older version would receive a value that was not intended."""
    old = record(field("pages", "int", default=0), field("title", "string"))
    assert vanished(old, record(field("title", "string"))) == [
        "pages: nothing carries this field any more"
    ]


def test_a_renamed_field_is_carried_where_the_older_schema_knows_its_new_name() -> None:
    """A decoder looks up the reader's aliases, and the reader is the older schema here."""
    new = record(field("page_count", "int"))
    known = record(field("pages", "int", aliases=["page_count"]))
    unknown = record(field("pages", "int"))
    assert (vanished(known, new), vanished(unknown, new)) == (
        [],
        ["pages: nothing carries this field any more"],
    )


def test_fields_are_looked_for_in_arrays_maps_and_branches() -> None:
    line_was = record(field("sku", "string"), field("n", "int"), name="Line")
    line_is = record(field("sku", "string"), name="Line")
    old = record(field("lines", ["null", {"type": "array", "items": line_was}]))
    new = record(field("lines", {"type": "array", "items": ["null", line_is]}))
    assert vanished(old, new) == ["lines[].n: nothing carries this field any more"]
