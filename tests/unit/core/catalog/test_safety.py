"""Schemas that could harm the process are detected before they are used."""

import json
from pathlib import Path

import pytest

from hookstream.core.catalog.safety import hostile
from hookstream.core.model.json import Json, JsonObject

OURS = sorted(Path(__file__).parents[4].glob("**/schemas/**/*.avsc"))


def record(name: str, **fields: Json) -> JsonObject:
    return {
        "type": "record",
        "name": name,
        "fields": [{"name": field, "type": kind} for field, kind in fields.items()],
    }


@pytest.mark.parametrize("path", OURS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_published_schema_is_hostile(path: Path) -> None:
    assert hostile(json.loads(path.read_text())) == []


def test_a_type_that_contains_itself_is_unsafe() -> None:
    """Five kilobytes of such a record end a process that decodes with fastavro in C."""
    assert hostile(record("Node", next=["null", "Node"])) == [
        "the type Node contains itself, so a record could nest without end"
    ]


def test_types_that_contain_each_other_are_unsafe() -> None:
    egg = record("Egg", hen=["null", {"type": "array", "items": "Hen"}])
    assert hostile(record("Hen", egg=egg)) == [
        "the type Hen contains itself, so a record could nest without end"
    ]


def test_a_named_type_that_is_used_twice_does_not_contain_itself() -> None:
    address = record("Address", city="string")
    assert hostile(record("Order", to=address, billed_to=["null", "Address"])) == []


NOTHING = record("Nothing", a="null", b=record("Less"))
NO_SIZE: JsonObject = {"type": "fixed", "name": "Void", "size": 0}


@pytest.mark.parametrize("item", ["null", NOTHING, NO_SIZE, {"type": "null"}])
@pytest.mark.parametrize("around", ["items", "values"])
def test_items_of_no_bytes_are_hostile(item: Json, around: str) -> None:
    """A five-byte array of nulls decodes to twenty million of them."""
    many: JsonObject = {"type": "array" if around == "items" else "map", around: item}
    assert hostile(record("Order", lines=["null", many])) == [
        "the items of lines take no bytes, so a few bytes could become millions of them"
    ]


@pytest.mark.parametrize(
    "item",
    [["null", "string"], "boolean", {"type": "array", "items": "int"}, record("A", b="int")],
)
def test_items_of_at_least_one_byte_are_safe(item: Json) -> None:
    assert hostile({"type": "array", "items": item}) == []


def test_types_that_double_at_every_level_are_hostile() -> None:
    """Thirty lines of schema would describe a record of a billion fields."""
    schema: JsonObject = record("L0", leaf="int")
    for level in range(1, 25):
        schema = record(f"L{level}", a=schema, b=f"L{level - 1}")
    assert hostile(schema) == ["written out, it has more than 10000 types"]


def test_types_that_are_nested_too_deep_are_hostile() -> None:
    schema: JsonObject = record("Deep", leaf="int")
    for _ in range(32):
        schema = {"type": "array", "items": schema}
    assert hostile(schema) == ["its types are nested 34 deep; at most 32 are allowed"]


def test_text_that_is_nested_without_end_is_refused_without_following_it() -> None:
    schema: Json = "null"
    for _ in range(200_000):
        schema = [schema]
    assert hostile(schema) == ["the schema is nested deeper than 100 levels"]


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        (7, "the schema: 7 is no type"),
        ({"type": 7}, "the schema: 7 is no type"),
        ("Missing", "the schema: 'Missing' is defined nowhere before it"),
        ([], "the schema: a union has different branches, at least one"),
        (["int", {"type": "int"}], "the schema: a union has different branches, at least one"),
        (["int", ["null", "string"]], "the schema: a union is nested directly in a union"),
        ({"type": "record", "name": "A"}, "the schema: the record A has no list of fields"),
        ({"type": "record", "fields": []}, "the schema: a 'record' has no name"),
        ({"type": "enum", "name": "9", "symbols": ["A"]}, "the schema: '9' is no name"),
        (
            {"type": "enum", "name": "E", "symbols": []},
            "the schema: the enum E has no symbols, or one twice",
        ),
        (
            {"type": "enum", "name": "E", "symbols": ["A"], "default": "B"},
            "the schema: the default of the enum E is none of its symbols",
        ),
        (
            {"type": "enum", "name": "E", "symbols": ["A-B"]},
            "the schema: symbols contains something that is no name",
        ),
        ({"type": "fixed", "name": "F"}, "the schema: the fixed type F has no size"),
        (record("A", x=record("A")), "x: A is defined twice"),
        (record("A", x={"type": "array"}), "x[]: None is no type"),
    ],
)
def test_an_invalid_schema_is_refused_with_its_place(schema: Json, why: str) -> None:
    assert hostile(schema) == [why]
