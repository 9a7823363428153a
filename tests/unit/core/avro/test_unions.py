from collections.abc import Callable

import pytest

from hookstream.core.avro.reader import read_schema
from hookstream.core.avro.render import NotRenderable, compile_value, needs_branch_names
from hookstream.core.model.json import Json, JsonObject

MONEY: JsonObject = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}


def a_record(*fields: JsonObject, name: str = "R") -> JsonObject:
    return {"type": "record", "name": name, "namespace": "t", "fields": list(fields)}


def rendering(schema: Json) -> Callable[[object], Json]:
    return compile_value(read_schema(schema))


def unscaled(number: int) -> bytes:
    return number.to_bytes(8, "big", signed=True)


def two_records(first: Json, second: Json) -> Json:
    return [
        "null",
        a_record({"name": "x", "type": first}, name="A"),
        a_record({"name": "x", "type": second}, name="B"),
    ]


@pytest.mark.parametrize(
    ("schema", "needed"),
    [
        ("string", False),
        (["null", MONEY], False),
        (["null", a_record({"name": "x", "type": MONEY})], False),
        (["string", {"type": "enum", "name": "E", "symbols": ["A"]}], False),
        (["string", "bytes", "long", "double", "boolean"], False),
        (two_records("string", "long"), True),
        (two_records("string", "string"), False),
        ([{"type": "map", "values": MONEY}, a_record({"name": "x", "type": "string"})], True),
        (["bytes", {"type": "fixed", "name": "F", "size": 2}], False),
        ([MONEY, {"type": "fixed", "name": "F", "size": 2}], True),
        (
            a_record(
                {"name": "deep", "type": {"type": "array", "items": two_records(MONEY, "int")}}
            ),
            True,
        ),
    ],
)
def test_names_are_needed_only_where_values_look_alike(schema: Json, needed: bool) -> None:  # noqa: FBT001 - what is claimed
    assert needs_branch_names(read_schema(schema)) is needed


def test_the_branch_of_a_union_follows_from_how_the_value_looks() -> None:
    render = rendering(
        ["null", "boolean", "long", "double", "string", MONEY, {"type": "array", "items": MONEY}]
    )

    found = [render(value) for value in (None, True, 1, 1.5, "x", unscaled(1), [unscaled(2)])]

    assert found == [None, True, 1, 1.5, "x", "0.01", ["0.02"]]


def test_records_that_look_alike_are_distinguished_by_name() -> None:
    render = rendering(two_records(MONEY, "bytes"))

    found = [render(value) for value in (("t.A", {"x": b"\1"}), ("t.B", {"x": b"\1"}), None)]

    assert found == [{"x": "0.01"}, {"x": "AQ=="}, None]


def test_names_beside_values_are_taken_off_everywhere_once_they_are_needed() -> None:
    """Fastavro names all branches or none: a union that needs none gets its names too."""
    schema = a_record(
        {"name": "a", "type": two_records(MONEY, "bytes")},
        {"name": "b", "type": ["null", {"type": "enum", "name": "E", "symbols": ["S"]}]},
        {"name": "c", "type": ["null", "long"]},
    )

    found = rendering(schema)({"a": ("t.A", {"x": b"\2"}), "b": ("t.E", "S"), "c": 3})

    assert found == {"a": {"x": "0.02"}, "b": "S", "c": 3}


@pytest.mark.parametrize("value", [("t.C", {}), {"x": b""}, 7])
def test_a_value_of_no_branch_is_refused(value: object) -> None:
    render = rendering(two_records(MONEY, "bytes"))

    with pytest.raises(NotRenderable, match="its union"):
        render(value)


def test_an_int_beside_a_long_is_a_number_either_way() -> None:
    render = rendering(["int", "long"])

    assert render(2**40) == 2**40
    with pytest.raises(NotRenderable):
        render(2**53)
