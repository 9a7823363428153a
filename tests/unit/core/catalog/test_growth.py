"""What one byte of a record can become is known from its schema, and bounds every record of it."""

from typing import Any

import pytest

from hookstream.core.avro.reader import read_schema
from hookstream.core.catalog.growth import Growth, growth, too_much


def nulls(count: int, *more: dict[str, Any]) -> dict[str, Any]:
    fields = [{"name": f"f{n}", "type": "null"} for n in range(count)]
    return {"type": "record", "name": "n.Wide", "fields": [*fields, *more]}


def root(kind: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"type": "record", "name": "n.Root", "fields": [{"name": "xs", "type": kind}]}


BYTE = {"name": "b", "type": "boolean"}
OPTIONAL = {
    "type": "record",
    "name": "n.Inner",
    "fields": [{"name": f"g{n}", "type": ["null", "string"]} for n in range(10)],
}


@pytest.mark.parametrize(
    ("kind", "rate"),
    [
        ("string", 1),
        ({"type": "array", "items": ["null", "string"]}, 1),
        ({"type": "array", "items": OPTIONAL}, 2),
        ({"type": "array", "items": nulls(4_000, BYTE)}, 4_096),
    ],
)
def test_the_rate_follows_what_the_smallest_item_becomes(kind: Any, rate: int) -> None:  # noqa: ANN401
    assert growth(read_schema(root(kind))).rate == rate


def test_what_does_not_repeat_counts_once() -> None:
    assert growth(read_schema(nulls(4_000))) == Growth(base=4_001, rate=1)


def test_an_item_of_thousands_of_nulls_is_refused_with_the_figure() -> None:
    [problem] = too_much(read_schema(root({"type": "array", "items": nulls(4_000, BYTE)})))
    assert problem == ("xs[]: one byte of an item can become 4002 values; at most 64 are allowed")


def test_a_default_counts_as_what_it_fills_in() -> None:
    field = {"name": "d", "type": {"type": "array", "items": "int"}, "default": [0] * 100}
    item: Any = {"type": "record", "name": "n.I", "fields": [BYTE, field]}
    assert "xs{}: one byte" in too_much(read_schema(root({"type": "map", "values": item})))[0]
    assert too_much(read_schema(item)) == []


def test_usual_schemas_are_not_refused() -> None:
    """Optional records within optional records are bounded level by level."""
    deep: Any = OPTIONAL
    for level in range(3):
        fields = [
            {"name": "a", "type": ["null", deep]},
            *({"name": f"h{n}", "type": ["null", "long"]} for n in range(12)),
        ]
        deep = {"type": "record", "name": f"n.Level{level}", "fields": fields}
    assert too_much(read_schema(root({"type": "array", "items": deep}))) == []
