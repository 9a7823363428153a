"""The JSON Schema of a type describes every body of it, and its sample is one of them."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import orjson
import pytest
from hypothesis import assume, given, reject
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator
from tests.doubles.drawn_events import Tools, events
from tests.doubles.schemas import EVENT_TYPES, event_schema, field, printprice

from hookstream.adapters.avro.examples import sample_record
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.json_bytes import json_bytes
from hookstream.core.avro.reader import read_schema
from hookstream.core.avro.values import NotRenderable
from hookstream.core.catalog.json_schema import cloudevents_schema, standard_schema
from hookstream.core.delivery.bodies.batch import BATCH_TYPE, batch_body
from hookstream.core.delivery.bodies.formats import SharedFormat, head_of, with_data
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.subscription import BodyFormat, Content
from hookstream.entry.admin.schema_documents import SampleFormat, SchemaDocuments


def validator(schema: JsonObject) -> Draft202012Validator:
    # Compiled, as hundreds of schemas are checked: it and the receiver's library agreed on each of these examples.
    jsonschema_rs.meta.validate(schema)
    return Draft202012Validator(schema)


@given(events())
def test_every_rendered_body_is_valid_by_the_json_schema_of_its_type(
    drawn: tuple[JsonObject, JsonObject],
) -> None:
    tree, data = drawn
    tools = Tools(tree)
    delivered = tools.delivered(tools.written(data))
    assume(isinstance(delivered, dict))

    schema = validator(standard_schema(read_schema(tree)))

    schema.validate(json.loads(orjson.dumps(delivered)))


def rendered(document: JsonObject, body_format: SharedFormat, content: Content) -> bytes:
    """Return the body as a worker makes it."""
    head = json_bytes(head_of(document, body_format, content))
    return head if content is Content.THIN else with_data(head, json_bytes(document["data"]))


@given(
    events(),
    st.sampled_from([BodyFormat.STANDARD, BodyFormat.CLOUDEVENTS]),
    st.sampled_from(Content),
    st.integers(1, 3),
)
def test_a_body_of_any_format_and_content_is_valid_alone_and_in_a_batch(
    drawn: tuple[JsonObject, JsonObject],
    body_format: SharedFormat,
    content: Content,
    size: int,
) -> None:
    tree, data = drawn
    tools = Tools(tree)
    delivered = tools.delivered(tools.written(data))
    assume(isinstance(delivered, dict))
    assert isinstance(delivered, dict)
    body, around = rendered(delivered, body_format, content), batch_body(body_format)
    assert around is not None
    alone, batch = json.loads(body), json.loads(around.of([body] * size))
    documents = SchemaDocuments(tools.book)

    of_one = validator(documents.json_schema("thing.done", 1, body_format, content))
    of_batches = validator(
        documents.json_schema("thing.done", 1, body_format, content, batch=True)
    )

    of_one.validate(alone)
    of_batches.validate(batch)
    assert not of_one.is_valid(batch)
    assert not of_batches.is_valid(alone)


@pytest.mark.parametrize("body_format", [BodyFormat.STANDARD, BodyFormat.CLOUDEVENTS])
def test_a_batch_with_an_event_that_is_not_valid_and_one_without_events_are_refused(
    body_format: SharedFormat,
) -> None:
    documents = SchemaDocuments(SchemaBook([printprice("order.generated")]))
    schema = validator(
        documents.json_schema("order.generated", 1, body_format, Content.FULL, batch=True)
    )
    right = documents.sample("order.generated", 1, body_format)
    thin: Json = {name: value for name, value in right.items() if name != "data"}
    batches: list[list[Json]] = [[right, right], [right, thin], [{**right, "type": "x"}], []]
    assert [
        schema.is_valid(batch if body_format is BodyFormat.CLOUDEVENTS else wrapped(batch))
        for batch in batches
    ] == [True, False, False, False]


def wrapped(events: list[Json]) -> JsonObject:
    return {"type": BATCH_TYPE, "events": events}


@given(events())
def test_a_sample_is_valid_and_input_takes_it_as_the_bytes_that_it_was_made_of(
    drawn: tuple[JsonObject, JsonObject],
) -> None:
    tree, _ = drawn
    try:
        schema = validator(standard_schema(read_schema(tree)))
    except NotRenderable:
        reject()
    tools = Tools(tree)
    documents = SchemaDocuments(tools.book)

    delivered = documents.sample("thing.done", 1, SampleFormat.STANDARD)
    shown = documents.sample("thing.done", 1, SampleFormat.INPUT)

    schema.validate(json.loads(orjson.dumps(delivered)))
    assert tools.schema is not None
    assert tools.sent(orjson.dumps(shown)) == sample_record(tools.schema)


@given(events())
def test_a_sample_is_the_same_every_time(drawn: tuple[JsonObject, JsonObject]) -> None:
    schema = Tools(drawn[0]).schema
    assert schema is not None
    assert sample_record(schema) == sample_record(schema)


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_each_type_of_the_first_platform_has_a_valid_sample_in_each_format(
    event_type: str,
) -> None:
    tree = printprice(event_type)
    documents = SchemaDocuments(SchemaBook([tree]))
    nodes = read_schema(tree)
    validator(standard_schema(nodes)).validate(documents.sample(event_type, None, "standard"))
    validator(cloudevents_schema(nodes)).validate(documents.sample(event_type, 1, "cloudevents"))


WRONG: list[Json] = [None, True, 0, 1.5, "~", [], {}]


def parts(value: Json, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    if isinstance(value, dict):
        for name, part in value.items():
            yield from parts(part, (*path, name))
    elif isinstance(value, list):
        for at, part in enumerate(value):
            yield from parts(part, (*path, at))


def with_part(value: Json, path: tuple[str | int, ...], part: Json) -> Json:
    if not path:
        return part
    changed: Json = json.loads(json.dumps(value))
    holder: Any = changed
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = part
    return changed


def of_one_kind(one: Json, other: Json) -> bool:
    """Whether two values are of one JSON type; an integer is a number."""
    kinds = [float if type(each) in (int, float) else type(each) for each in (one, other)]
    return kinds[0] is kinds[1]


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_no_field_may_have_another_json_type_than_its_own(event_type: str) -> None:
    """Null alone may stand where the schema's union has it."""
    tree = printprice(event_type)
    body = SchemaDocuments(SchemaBook([tree])).sample(event_type, 1, "standard")
    schema = validator(standard_schema(read_schema(tree)))
    for path in parts(body):
        found: Any = body
        for step in path:
            found = found[step]
        for wrong in WRONG:
            if wrong is None or found is None or of_one_kind(wrong, found):
                continue
            assert not schema.is_valid(with_part(body, path, wrong)), (path, wrong)


KINDS: list[tuple[Json, list[Json], list[Json]]] = [
    ("int", [0, -(2**31), 2**31 - 1], [2**31, -(2**31) - 1, 1.5, "1"]),
    ("long", [2**53 - 1, -(2**53) + 1], [2**53, -(2**53), "1"]),
    ({"type": "long", "json": "string"}, ["0", "-9223372036854775808"], ["-0", "007", "", 1]),
    ("double", [0, 0.5, 1e300], ["0.5", None]),
    ("bytes", ["", "TQ==", "TWE=", "TWFu"], ["TQ", "TR==", "T===", "TWFu\u00e9"]),
    (
        {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2},
        ["0.00", "-0.01", "99.99"],
        ["100.00", "1", "1.0", "01.00", ".50", "1.000", 1.5],
    ),
    (
        {"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 2},
        ["0.99", "-0.10"],
        ["1.00", "0.9"],
    ),
    (
        {"type": "bytes", "logicalType": "decimal", "precision": 3, "scale": 0},
        ["0", "999", "-1"],
        ["1000", "1.", "1.0", "00"],
    ),
    ({"type": "int", "logicalType": "date"}, ["0001-01-01", "2026-11-24"], ["2026-11-24T", 20781]),
    (
        {"type": "long", "logicalType": "timestamp-millis"},
        ["2026-11-24T08:15:30.250Z"],
        ["2026-11-24T08:15:30.250", "2026-11-24T08:15:30Z", "2026-11-24T08:15:30.250000Z"],
    ),
    (
        {"type": "long", "logicalType": "local-timestamp-micros"},
        ["2026-11-24T08:15:30.250000"],
        ["2026-11-24T08:15:30.250000Z"],
    ),
    ({"type": "int", "logicalType": "time-millis"}, ["08:15:30.250"], ["08:15:30", "8:15:30.250"]),
    (
        {"type": "fixed", "name": "t.U", "size": 16, "logicalType": "uuid"},
        ["7d5f6d9e-6f2e-4b8e-9d53-6d7f2f1a4c11"],
        ["7D5F6D9E-6F2E-4B8E-9D53-6D7F2F1A4C11", "7d5f6d9e"],
    ),
    (
        {"type": "fixed", "name": "t.D", "size": 12, "logicalType": "duration"},
        ["P1M2DT3.004S"],
        ["P1M2DT3S", "PT3.004S"],
    ),
    ({"type": "fixed", "name": "t.F", "size": 2}, ["TWE="], ["TQ==", "TWFu", ""]),
    ({"type": "enum", "name": "t.E", "symbols": ["A", "B"]}, ["A", "B"], ["C", "", None]),
    (["null", "string"], [None, ""], [0, False]),
    (["null", "int", "string"], [None, 3, "x"], [1.5, True, {}]),
    ({"type": "map", "values": "int"}, [{}, {"a": 1}], [{"a": "1"}, []]),
    ({"type": "array", "items": ["null", "int"]}, [[], [None, 1]], [["1"], {}]),
]


@pytest.mark.parametrize(("kind", "right", "wrong"), KINDS)
def test_a_field_takes_what_is_rendered_for_its_type_and_nothing_else(
    kind: Json, right: list[Json], wrong: list[Json]
) -> None:
    schema = standard_schema(read_schema(event_schema(field("x", kind))))
    defined = schema["$defs"]
    assert isinstance(defined, dict)
    record = validator({"$ref": "#/$defs/tests.ThingDoneData", "$defs": defined})
    assert [value for value in right if not record.is_valid({"x": value})] == []
    assert [value for value in wrong if record.is_valid({"x": value})] == []


def test_a_body_with_a_field_of_a_later_revision_is_valid() -> None:
    """Within a version fields are only added: a receiver must not break where one comes."""
    tree = event_schema(field("x", "int"))
    body = SchemaDocuments(SchemaBook([tree])).sample("thing.done", 1, "standard")
    assert isinstance(body["data"], dict)
    body["data"]["added"] = "later"
    validator(standard_schema(read_schema(tree))).validate(body)


def test_what_is_not_rendered_has_no_json_schema() -> None:
    alike: Json = [
        {"type": "int", "logicalType": "date"},
        {"type": "long", "logicalType": "timestamp-micros"},
    ]
    with pytest.raises(NotRenderable):
        standard_schema(read_schema(event_schema(field("x", alike))))
    with pytest.raises(NotRenderable, match="lacks the envelope"):
        standard_schema(read_schema("int"))
