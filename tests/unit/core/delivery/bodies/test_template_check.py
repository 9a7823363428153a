"""A template is checked against the schemas of the versions that it is rendered for."""

from dataclasses import replace

import pytest
from tests.doubles.schemas import event_schema, field

from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.delivery.bodies.template import compile_template
from hookstream.core.delivery.bodies.template_check import DataSchema, check, losses
from hookstream.core.model.json import Json

BUYER: Json = {
    "type": "record",
    "name": "Buyer",
    "fields": [{"name": "name", "type": "string"}],
}
FIELDS = (
    field("order_number", "long"),
    field("buyer", ["null", BUYER]),
    field("lines", {"type": "array", "items": "string"}),
    field("labels", {"type": "map", "values": ["null", "string"]}),
    field("either", ["string", {"type": "array", "items": "string"}]),
    field("total", {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}),
)


def data_schema(*fields: Json, event_type: str = "thing.done") -> DataSchema:
    book = SchemaBook()
    revision = book.publish(event_schema(*fields, event_type=event_type))  # type: ignore[arg-type]
    schema = book.schema(revision)
    assert schema is not None
    assert schema.data is not None
    return DataSchema(event_type, 1, schema.data)


THING = data_schema(*FIELDS)
OTHER = data_schema(
    field("order_number", BUYER), field("place", "string"), event_type="other.done"
)


def problems(*texts: str, schemas: tuple[DataSchema, ...] = (THING,)) -> list[str]:
    return [f"{place}: {why}" for place, why in check(compile_template([*texts]), schemas)]


@pytest.mark.parametrize(
    "text",
    [
        "<$.data>",
        "<$.data.buyer>",
        "<$.data.lines>",
        "<$.data.either>",
        "x <$.data.order_number> <$.data.total> <$.data.buyer.name|slack>",
        "x <$.data.labels.anything>",
        "x <$.type> <$.version> <$.timestamp> <$.id> <$.environment> <$.entity_id>",
    ],
)
def test_what_the_schema_has_is_taken(text: str) -> None:
    assert problems(text) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "<$.data.order_nmber>",
            "order_number, total (did you mean order_number?)",
        ),
        ("<$.dta.order_number>", "(did you mean data?)"),
        ("<$.data.buyer.nam>", "$.data.buyer has name (did you mean name?)"),
        ("<$.data.lines.first>", "$.data.lines is a list, and no path continues in one"),
        ("<$.data.total.cents>", "$.data.total has no fields"),
        ("<$.type.name>", "$.type has no fields"),
    ],
)
def test_a_path_that_no_event_has_is_a_mistake(text: str, why: str) -> None:
    (found,) = problems("", text)
    assert found.startswith(f"[1]: {text} is in no event type asked for (thing.done v1); ")
    assert found.endswith(why)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("x <$.data>", "an object"),
        ("x <$.data.buyer>", "an object"),
        ("x <$.data.labels>", "an object"),
        ("x <$.data.lines>", "a list"),
        ("x <$.data.either>", "a list"),
        ("<$.data.buyer|slack>", "an object"),
    ],
)
def test_an_object_or_list_within_text_is_refused(text: str, kind: str) -> None:
    (found,) = problems(text)
    assert f"may be {kind} (thing.done v1), which has no text" in found


def test_a_path_of_one_of_several_event_types_is_absent_in_the_others() -> None:
    both = (THING, OTHER)
    assert problems("<$.data.place>", "x <$.data.buyer.name>", schemas=both) == []
    (found,) = problems("<$.data.plac>", schemas=both)
    assert "(other.done v1, thing.done v1)" in found


def test_an_object_of_one_event_type_is_refused_in_the_text_of_all() -> None:
    (found,) = problems("x <$.data.order_number>", schemas=(THING, OTHER))
    assert "may be an object (other.done v1)" in found


def test_without_schemas_nothing_is_checked() -> None:
    assert problems("x <$.data.anything>", schemas=()) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("<$.data.order_number>", []),
        ("for <$.data.buyer.name>", []),
        ("<$.data.lines>", []),
        ("<$.data.nothing>", []),
        ("<$.data.total>", ["[0]: <$.data.total> is not in thing.done v2"]),
        ("<$.data.total>: <$.data.total>", ["[0]: <$.data.total> is not in thing.done v2"] * 2),
        ("<$.data.labels>", []),
        (
            "x <$.data.labels.a>",
            ["[0]: <$.data.labels.a> may be an object in thing.done v2: such a delivery is dead-"],
        ),
        ("<$.data.labels.a>", []),
        ("<$.data.labels.a|slack>", ["[0]: <$.data.labels.a|slack> may be an object"]),
        ("x <$.data.lines>", []),
    ],
)
def test_a_template_loses_by_a_version_what_that_lacks_or_has_no_text_for(
    text: str, found: list[str]
) -> None:
    label: Json = {**BUYER, "name": "Label"}  # type: ignore[dict-item]  # it is an object
    later = replace(
        data_schema(*FIELDS[:3], field("labels", {"type": "map", "values": label})), version=2
    )
    lost = [f"{place}: {why}" for place, why in losses(compile_template([text]), THING, later)]
    assert len(lost) == len(found)
    assert [why for why, begin in zip(lost, found, strict=True) if not why.startswith(begin)] == []
