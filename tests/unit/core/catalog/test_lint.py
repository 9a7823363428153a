"""A schema is complete, and has nothing that would be ignored."""

import json
from pathlib import Path

import pytest

from hookstream.core.catalog.lint import FullNames, breaches
from hookstream.core.model.json import Json, JsonObject

OURS = sorted((Path(__file__).parents[4] / "schemas").glob("*/*.avsc"))


def field(name: str, kind: Json, **more: Json) -> JsonObject:
    return {"name": name, "type": kind, "doc": "What it is.", **more}


def schema(*data: Json, **more: Json) -> JsonObject:
    """Return a schema that keeps every rule, with fields in its data and attributes replaced."""
    return {
        "type": "record",
        "name": "printprice.JobDone",
        "eventType": "job.done",
        "eventVersion": 1,
        "fields": [
            field("event_id", {"type": "string", "logicalType": "uuid"}),
            field("occurred_at", {"type": "long", "logicalType": "timestamp-micros"}),
            field("entity_id", "string"),
            field("environment", "string"),
            field("data", {"type": "record", "name": "JobDoneData", "fields": list(data)}),
        ],
        **more,
    }


@pytest.mark.parametrize("path", OURS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_schemas_of_printprice_keep_every_rule(path: Path) -> None:
    assert breaches(json.loads(path.read_text())) == []


@pytest.mark.parametrize(
    ("attributes", "why"),
    [
        ({"eventType": None}, "eventType is a dotted lower-case name such as pricing.completed"),
        (
            {"eventType": "Job.Done"},
            "eventType is a dotted lower-case name such as pricing.completed",
        ),
        ({"eventType": "done"}, "eventType is a dotted lower-case name such as pricing.completed"),
        ({"eventType": "a." + "b" * 200}, "eventType has at most 200 characters"),
        ({"eventVersion": 0}, "eventVersion is a whole number from 1 to 9999"),
        ({"eventVersion": True}, "eventVersion is a whole number from 1 to 9999"),
        ({"eventVersion": "1"}, "eventVersion is a whole number from 1 to 9999"),
        ({"name": "JobDone"}, "the record JobDone has no namespace"),
    ],
)
def test_the_schema_names_its_type_and_version(attributes: JsonObject, why: str) -> None:
    assert breaches(schema(**attributes)) == [why]


def test_the_envelope_is_complete_and_alone_at_the_top() -> None:
    """A field beside `data` would be in no body: it would never be delivered."""
    wrong = schema(
        fields=[
            field("event_id", "long"),
            field("occurred_at", {"type": "long", "logicalType": "timestamp-millis"}),
            field("entity_id", ["null", "string"]),
            field("data", "string"),
            field("trace", "string"),
        ]
    )
    assert breaches(wrong) == [
        "event_id: the envelope has text (a string) here",
        "occurred_at: the envelope has a long with the logical type timestamp-micros here",
        "entity_id: the envelope has text (a string) here",
        "environment: the envelope lacks it",
        "data: the envelope has a record here",
        "trace: only the envelope belongs at the top; what is not in data is not delivered",
    ]


def test_every_field_has_a_doc_however_deep_it_is() -> None:
    line: JsonObject = {"type": "record", "name": "Line", "fields": [field("n", "int", doc=" ")]}
    lines = field("lines", ["null", {"type": "array", "items": line}])
    assert breaches(schema(lines, field("map", {"type": "map", "values": "Line"}))) == [
        "data.lines[].n: it has no doc"
    ]


@pytest.mark.parametrize(
    ("kind", "kept"),
    [
        ("long", True),
        (["null", "long"], True),
        ({"type": "array", "items": "long"}, True),
        ("int", False),
        ("string", False),
        ({"type": "long", "logicalType": "timestamp-micros"}, False),
    ],
)
def test_only_longs_may_be_written_as_text(kind: Json, kept: bool) -> None:  # noqa: FBT001
    problem = 'data.n: "json": "string" is for longs without a logical type'
    assert breaches(schema(field("n", kind, json="string"))) == ([] if kept else [problem])


@pytest.mark.parametrize(
    "kind",
    [
        {"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 3},
        {"type": "bytes", "logicalType": "decimal"},
        {"type": "string", "logicalType": "decimal", "precision": 4},
        {"type": "fixed", "name": "F", "size": 1, "logicalType": "decimal", "precision": 9},
    ],
)
def test_a_logical_type_that_would_be_ignored_is_a_mistake(kind: JsonObject) -> None:
    """Avro ignores it: money would arrive as base64."""
    assert breaches(schema(field("price", kind))) == [
        "data.price: the logical type 'decimal' is not valid here and would be ignored"
    ]


INNER: JsonObject = {
    "type": "record",
    "name": "Inner",
    "fields": [field("a", "int"), field("b", "int", default=1)],
}


@pytest.mark.parametrize(
    ("kind", "default", "kept"),
    [
        ("float", 0.7, True),
        ("float", 1, True),
        ("float", 16777217, False),
        ("float", 0.30000000000000004, False),
        ("float", 1e39, False),
        ("float", True, False),
        ("double", 0.30000000000000004, True),
        ("double", 2**53 + 1, False),
        ("double", 10**400, False),
        ("int", 3, True),
        ("int", 2**31, False),
        ("int", True, False),
        ("double", 1, True),
        ("string", None, False),
        (["null", "string"], None, True),
        (["string", "null"], None, True),
        ({"type": "array", "items": "int"}, [], True),
        ({"type": "map", "values": "int"}, {"a": "b"}, False),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, "A", True),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, "B", False),
        (INNER, {"a": 1, "b": 2}, True),
        (INNER, {"a": 1}, False),
        ("bytes", "", False),
        ({"type": "fixed", "name": "F", "size": 1}, "\u00ff", False),
    ],
)
def test_a_default_is_what_a_decoder_would_have_read(
    kind: Json,
    default: Json,
    kept: bool,  # noqa: FBT001
) -> None:
    """The decoder returns it as it is in the schema: text for bytes, for one."""
    problem = (
        "data.x: its default is no value of its type that a decoder can fill in (of bytes and "
        "fixed none is)"
    )
    assert breaches(schema(field("x", kind, default=default))) == ([] if kept else [problem])


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ("string", "the schema of an event type is a record"),
        (7, "the schema: 7 is no type"),
    ],
)
def test_a_document_that_is_not_a_record_is_refused_at_once(document: Json, why: str) -> None:
    assert breaches(document) == [why]


def test_all_versions_of_a_type_share_one_name_and_no_two_types_do() -> None:
    """Avro would not resolve between them."""
    named: list[Json] = [
        schema(),
        schema(eventVersion=2),
        schema(eventVersion=3, name="printprice.Finished"),
        schema(eventType="job.begun"),
        "string",
    ]
    names = FullNames()
    assert [why for each in named for why in names.add(each)] == [
        "job.done is named both printprice.JobDone and printprice.Finished",
        "the name printprice.JobDone belongs to both job.done and job.begun",
    ]
