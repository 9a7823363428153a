"""Within a version, the JSON of a field stays what it is."""

import pytest

from hookstream.core.catalog.body_changes import body_changes
from hookstream.core.model.json import Json, JsonObject


def schema(*fields: Json) -> JsonObject:
    return {
        "type": "record",
        "name": "printprice.Done",
        "fields": [{"name": "data", "type": record("Data", *fields)}],
    }


def record(name: str, *fields: Json) -> JsonObject:
    return {"type": "record", "name": name, "fields": list(fields)}


def field(name: str, kind: Json, **more: Json) -> JsonObject:
    return {"name": name, "type": kind, **more}


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        (
            field("n", "long"),
            field("n", ["null", "long"], json="string"),
            "data.n: a number in the body would become a number as text",
        ),
        (
            field("n", {"type": "array", "items": "long"}, json="string"),
            field("n", {"type": "array", "items": "long"}),
            "data.n: a number as text in the body would become a number",
        ),
        (
            field("s", ["null", "string"]),
            field("s", ["null", "bytes", "string"]),
            "data.s: text in the body would become base64",
        ),
        (
            field("m", {"type": "map", "values": record("In", field("s", "string"))}),
            field("m", {"type": "map", "values": record("In", field("s", "bytes"))}),
            "data.m{}.s: text in the body would become base64",
        ),
    ],
)
def test_a_field_that_would_look_different_is_named(
    old: JsonObject, new: JsonObject, change: str
) -> None:
    """Avro reads all of these without an error; a partner's code would not."""
    assert body_changes(schema(old), schema(new)) == [change]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (field("n", "int"), field("n", "double")),
        (field("n", "long"), field("other", "long", json="string")),
        (field("s", "string"), field("s", ["string", "bytes"])),
        (field("n", "long", json="string"), field("n", {"type": "long", "json": "string"})),
        (field("next", ["null", "Data"]), field("next", ["null", "Data"])),
    ],
)
def test_a_field_that_looks_the_same_is_not(old: JsonObject, new: JsonObject) -> None:
    assert body_changes(schema(old), schema(new)) == []


def test_a_schema_that_is_not_a_record_has_no_fields() -> None:
    assert body_changes("string", schema()) == []
