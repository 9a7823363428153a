"""Events are encoded with the newest version, and refused with the path of what is wrong."""

import pytest
from examples.printprice.generator import Happening, events
from tests.doubles.schemas import EVENT_ID, EVENT_TYPES, event_schema, field, printprice

from hookstream.adapters.avro.codec import AvroCodec
from hookstream.adapters.avro.encoder import EventEncoder
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.catalog.lint import breaches
from hookstream.core.catalog.safety import hostile
from hookstream.core.model.event import Event, Identified
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.record import Record
from hookstream.errors import EventRefused, InputRefused

BOOK = SchemaBook([printprice(event_type) for event_type in EVENT_TYPES])


def fields(happening: Happening) -> dict[str, object]:
    return {
        "event_id": EVENT_ID,
        "occurred_at": "2026-11-24T08:15:30Z",
        "entity_id": happening.entity_id,
        "environment": happening.environment,
        "data": happening.data,
    }


def delivered(book: SchemaBook, happening: Happening) -> JsonObject:
    """Return the body of an event, encoded and decoded again."""
    value = EventEncoder(book).encode(happening.event_type, fields(happening))
    record = Record("t", 0, 0, 0, None, value, ())
    codec = AvroCodec(book)
    found = codec.identify(record)
    assert isinstance(found, Identified)
    event = codec.decode(found, record)
    assert isinstance(event, Event)
    document = codec.document(event, 1)
    assert isinstance(document, dict)
    return document


def test_every_generated_event_is_delivered_as_it_was_generated() -> None:
    """The generator, the six schemas, taking in, encoding, decoding and rendering agree."""
    seen = set()
    for happening in events(7, 300):
        document = delivered(BOOK, happening)
        assert (document["type"], document["data"]) == (happening.event_type, happening.data)
        seen.add(happening.event_type)
    assert seen == set(EVENT_TYPES)


@pytest.mark.parametrize(
    ("kind", "default", "shown"),
    [
        (["null", "bytes"], "\u00ff", "/w=="),
        (["null", {"type": "fixed", "name": "Code", "size": 1}], "\u00ff", "/w=="),
        (["double", "float"], 0.1, 0.1),
        (["string", {"type": "enum", "name": "Word", "symbols": ["A"]}], "A", "A"),
        ({"type": "array", "items": ["null", "bytes"]}, ["\u00ff", None], ["/w==", None]),
        (["null", {"type": "map", "values": "int"}], {"a": 1}, {"a": 1}),
    ],
)
def test_the_default_of_a_union_is_written_and_delivered(
    kind: Json, default: Json, shown: Json
) -> None:
    """Bytes as the default of a union's second branch were refused where all else fitted."""
    book = SchemaBook([event_schema(field("v", kind, default=default))])
    left_out = Happening("thing.done", "job-1", "production", {})
    assert delivered(book, left_out)["data"] == {"v": shown}


def test_a_field_whose_default_does_not_fit_must_be_given() -> None:
    book = SchemaBook([event_schema(field("v", "int", default=2**40))])
    given = Happening("thing.done", "job-1", "production", {"v": 1})
    assert delivered(book, given)["data"] == {"v": 1}
    left_out = Happening("thing.done", "job-1", "production", {})
    with pytest.raises(EventRefused, match=r"^data\.v: is missing, and its default is no value"):
        delivered(book, left_out)


def test_the_same_seed_gives_the_same_events() -> None:
    assert list(events(3, 50)) == list(events(3, 50))


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_the_platforms_schemas_keep_the_house_rules(event_type: str) -> None:
    tree = printprice(event_type)
    assert (hostile(tree), breaches(tree)) == ([], [])


def test_the_newest_version_is_written_unless_one_is_named() -> None:
    encoder = EventEncoder(
        SchemaBook([event_schema(), event_schema(field("a", "int"), version=2)])
    )
    happening = Happening("thing.done", "job-1", "production", {})
    with pytest.raises(InputRefused, match=r"^data\.a: is missing$"):
        encoder.encode("thing.done", fields(happening))
    assert encoder.encode("thing.done", fields(happening), 1)


@pytest.mark.parametrize(
    ("event_type", "version", "why"),
    [
        (
            "thing.dome",
            None,
            "type: no schema of 'thing.dome' was published (did you mean thing.done?); known are thing.done",
        ),
        ("thing.done", 7, "type: thing.done has no version 7; there is 1"),
        (
            "thing.done",
            10**5000,
            "type: thing.done has no version a whole number of about 5000 digits; there is 1",
        ),
    ],
    ids=range(3),
)
def test_what_was_never_published_is_refused(
    event_type: str, version: int | None, why: str
) -> None:
    with pytest.raises(InputRefused) as refused:
        EventEncoder(SchemaBook([event_schema()])).encode(event_type, {}, version)
    assert str(refused.value) == why


def test_what_a_worker_would_refuse_is_refused_before_it_is_written() -> None:
    encoder = EventEncoder(SchemaBook([event_schema(field("a", "string"))]), max_bytes=200)
    sound = fields(Happening("thing.done", "job-1", "production", {"a": ""}))
    with pytest.raises(InputRefused, match="bytes encoded, at most 200 are accepted"):
        encoder.encode("thing.done", sound | {"data": {"a": "x" * 200}})
    with pytest.raises(InputRefused, match="entity_id is '';"):
        encoder.encode("thing.done", sound | {"entity_id": ""})


def test_all_that_is_wrong_with_an_event_is_named_at_once() -> None:
    encoder = EventEncoder(SchemaBook([event_schema(field("a", "int"), field("b", "string"))]))
    happening = {
        "event_id": "x" * 201,
        "occurred_at": "yesterday",
        "environment": "",
        "data": {"a": "1", "c": 2},
    }
    with pytest.raises(EventRefused) as refused:
        encoder.encode("thing.done", happening)
    assert [problem.split(" must")[0][:60] for problem in refused.value.problems] == [
        "event_id: 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "occurred_at: 'yesterday' is not a time such as 2026-11-24T08",
        "data.a: '1' is not a whole number",
        "data.c: there is no such field",
        "data.b: is missing",
        "entity_id: is missing",
        "environment is ''; it",
    ]


def test_a_test_has_an_id_that_no_event_of_the_platform_can_have() -> None:
    """The schema asks for a UUID of every producer; what a test writes is read as any id."""
    happening = next(each for each in events(7, 300) if each.event_type == "pricing.completed")
    value = EventEncoder(BOOK).encode("pricing.completed", fields(happening), event_id="test-1")
    codec, record = AvroCodec(BOOK), Record("t", 0, 0, 0, None, value, ())
    found = codec.identify(record)
    assert isinstance(found, Identified)
    event = codec.decode(found, record)
    assert isinstance(event, Event)
    assert event.event_id == "test-1"
    with pytest.raises(EventRefused, match="event_id is 'test\\\\x001'; it must be printable"):
        EventEncoder(BOOK).encode("pricing.completed", fields(happening), event_id="test\x001")
