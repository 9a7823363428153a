"""What the pipeline may rely on of any codec, the double's and the real one's alike."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.contracts.codec_worlds import (
    MAX_RECORD_BYTES,
    WORLDS,
    World,
    record,
)

from hookstream.core.delivery.bodies.formats import data_of, with_data
from hookstream.core.delivery.bodies.standard import identity
from hookstream.core.model.event import Event, Identified, Undecodable, UnknownSchema
from hookstream.core.model.framing import VALUE_SCHEMA_ID, prefixed
from hookstream.core.model.json import Json
from hookstream.core.model.outcome import RefusalReason, Refused
from hookstream.core.model.record import Origin, Record
from hookstream.core.model.registered import RegisteredId, UnresolvedSchema


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest) -> World:
    make: Callable[[], World] = request.param
    return make()


def event_of(world: World, value: bytes) -> Event:
    """The event of a record that is sound."""
    found = world.codec.identify(record(value))
    assert isinstance(found, Identified)
    event = world.codec.decode(found, record(value))
    assert isinstance(event, Event)
    return event


def test_a_record_names_its_type_and_version(world: World) -> None:
    world.publish(1)
    found = world.codec.identify(record(world.value(1, {"a": 1}, event_id="e1")))
    assert isinstance(found, Identified)
    assert found.revision[:2] == ("thing.done", 1)


def test_an_event_has_the_origin_that_is_given_and_else_its_records_own_place(
    world: World,
) -> None:
    """A record of a tier is that of another topic."""
    world.publish(1)
    value = world.value(1, {"a": 1}, event_id="e1")
    found = world.codec.identify(record(value))
    assert isinstance(found, Identified)
    event = world.codec.decode(found, record(value), Origin("printprice.thing.done", 3, 42, 7))
    assert isinstance(event, Event)
    assert event.origin == Origin("printprice.thing.done", 3, 42, 7)
    assert event_of(world, value).origin == record(value).origin


def test_an_unpublished_schema_is_unknown_not_undecodable(world: World) -> None:
    """The record waits: a producer may be quicker than the table of schemas."""
    assert isinstance(
        world.codec.identify(record(world.value(1, {"a": 1}, event_id="e1"))), UnknownSchema
    )


def test_a_schema_published_meanwhile_is_known(world: World) -> None:
    value = world.value(1, {"a": 1}, event_id="e1")
    world.codec.identify(record(value))
    world.publish(1)
    assert isinstance(world.codec.identify(record(value)), Identified)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "tombstone"),
        (b"", "not_framed"),
        (b"not an event", "not_framed"),
        (b"x" * (MAX_RECORD_BYTES + 1), "too_large"),
    ],
)
def test_an_undecodable_record_has_a_reason(
    world: World, value: bytes | None, reason: str
) -> None:
    found = world.codec.identify(record(value))
    assert isinstance(found, Undecodable)
    assert found.reason == reason


def test_a_record_that_only_an_unreadable_header_identifies_is_refused_with_that_reason(
    world: World,
) -> None:
    world.publish(1)
    problem = "the header name \\xff is not UTF-8"
    unnamed = replace(record(b"body"), headers_problem=problem)
    assert world.codec.identify(unnamed) == Undecodable("headers_unreadable", problem)
    named = replace(record(world.value(1, {"a": 1}, event_id="e1")), headers_problem=problem)
    assert isinstance(world.codec.identify(named), Identified)


def test_an_event_is_decoded_with_its_place(world: World) -> None:
    world.publish(1)
    event = event_of(world, world.value(1, {"a": 7}, event_id="e1"))
    assert (event.event_id, event.occurred_at, event.entity_id, event.environment) == (
        "e1",
        1_764_000_000_000_000,
        "job-1",
        "production",
    )
    assert event.origin == Origin("printprice.thing.done", 3, 41, 1_764_000_000_500)


def test_an_event_without_an_id_is_undecodable(world: World) -> None:
    world.publish(1)
    value = world.value_without_id()
    found = world.codec.identify(record(value))
    assert isinstance(found, Identified)
    problem = world.codec.decode(found, record(value))
    assert isinstance(problem, Undecodable)
    assert problem.reason == "bad_envelope"


def test_the_bytes_of_the_data_are_the_tail_of_the_body(world: World) -> None:
    """Every other format is text around them."""
    world.publish(1)
    event = event_of(world, world.value(1, {"a": 7}, event_id="e1"))
    document = world.codec.document(event, 1)
    assert isinstance(document, dict)
    encode = world.codec.encode
    body, head = encode(document), encode(identity(document))
    assert data_of(body, head) == encode(document["data"]) == b'{"a":7}'
    assert with_data(head, data_of(body, head)) == body


@pytest.mark.parametrize("value", [None, True, 7, 0.5, 'a "b"\n', [1, {}], {"a": ["x"]}])
def test_any_plain_value_is_encoded_without_spaces(world: World, value: Json) -> None:
    """A template writes values one by one."""
    encoded = world.codec.encode(value)
    assert json.loads(encoded) == value
    assert encoded == json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def test_the_standard_body_is_plain_json_in_a_fixed_order(world: World) -> None:
    world.publish(1)
    event = event_of(world, world.value(1, {"a": 7}, event_id="e1"))
    document = world.codec.document(event, 1)
    assert isinstance(document, dict)
    assert json.loads(world.codec.encode(document)) == document
    assert list(document.items()) == [
        ("type", "thing.done"),
        ("version", 1),
        ("timestamp", "2025-11-24T16:00:00.000000Z"),
        ("id", "e1"),
        ("environment", "production"),
        ("entity_id", "job-1"),
        ("data", {"a": 7}),
    ]


def test_a_body_at_hand_is_what_encoding_the_document_gives(world: World) -> None:
    world.publish(1)
    event = event_of(world, world.value(1, {"a": 7}, event_id="é"))
    document = world.codec.document(event, 1)
    assert isinstance(document, dict)
    assert world.codec.body(event, 1) in (None, world.codec.encode(document))


def test_an_excerpt_has_what_it_is_asked_for(world: World) -> None:
    world.publish(1)
    event = event_of(world, world.value(1, {"a": 7}, event_id="e1"))
    document = world.codec.document(event, 1)
    asked = world.codec.excerpt(event, 1, frozenset({("data", "a"), ("data", "z")}))
    assert asked in (None, document)
    # Where a body is at hand, so is what filters ask for.
    assert (asked is None) is (world.codec.body(event, 1) is None)


@pytest.mark.parametrize(("written", "read"), [(1, 2), (2, 1)])
def test_an_excerpt_at_another_version_has_what_that_version_has(
    world: World, written: int, read: int
) -> None:
    world.publish(1)
    world.publish(2)
    event = event_of(world, world.value(written, {"a": 7, "b": 8}, event_id="e1"))
    asked = world.codec.excerpt(event, read, frozenset({("data", "a"), ("data", "b")}))
    assert asked in (None, world.codec.document(event, read))
    assert (asked is None) is (world.codec.body(event, read) is None)


@pytest.mark.parametrize("version", [0, 9])
def test_there_is_no_excerpt_of_a_version_that_was_never_published(
    world: World, version: int
) -> None:
    world.publish(1)
    event = event_of(world, world.value(1, {"a": 7}, event_id="e1"))
    assert world.codec.excerpt(event, version, frozenset({("data", "a")})) is None


def test_no_excerpt_and_no_body_is_made_of_what_json_cannot_represent(world: World) -> None:
    world.publish(1)
    event = event_of(world, world.not_renderable())
    assert world.codec.excerpt(event, 1, frozenset()) is None
    assert world.codec.body(event, 1) is None


def test_an_event_of_a_newer_version_is_delivered_at_the_pinned_one(world: World) -> None:
    """A partner on version 1 keeps receiving version 1 after producers moved on."""
    world.publish(1)
    world.publish(2)
    event = event_of(world, world.value(2, {"a": 7, "b": 8}, event_id="e1"))
    document = world.codec.document(event, 1)
    assert isinstance(document, dict)
    assert document["version"] == 1


def test_a_version_that_was_never_published_cannot_be_resolved(world: World) -> None:
    world.publish(1)
    event = event_of(world, world.value(1, {"a": 7}, event_id="e1"))
    refused = world.codec.document(event, 9)
    assert isinstance(refused, Refused)
    assert refused.reason == RefusalReason.VERSION_NOT_RESOLVABLE


def test_what_json_cannot_represent_is_refused(world: World) -> None:
    world.publish(1)
    refused = world.codec.document(event_of(world, world.not_renderable()), 1)
    assert isinstance(refused, Refused)
    assert refused.reason == RefusalReason.NOT_RENDERABLE


def test_the_newest_version_of_a_type_is_known(world: World) -> None:
    assert world.codec.latest("thing.done") == 0
    world.publish(1)
    world.publish(2)
    assert world.codec.latest("thing.done") == 2


GUID = "00112233-4455-6677-8899-aabbccddeeff"
TOPIC = "printprice.thing.done"


def confluent(world: World, schema_id: str) -> Record:
    """An event of version 1 in Confluent's prefix, or with its header where the id is a GUID."""
    body = world.body(1, {"a": 7}, event_id="e1")
    if "-" in schema_id:
        header = (VALUE_SCHEMA_ID, b"\1" + bytes.fromhex(schema_id.replace("-", "")))
        return replace(record(body), headers=(header,))
    return record(prefixed(int(schema_id)) + body)


@pytest.mark.parametrize(
    ("schema_id", "framing"), [("42", "Confluent's prefix"), (GUID, "Confluent's header")]
)
def test_a_framing_for_which_nothing_is_set_is_undecodable_and_names_the_setting(
    world: World, schema_id: str, framing: str
) -> None:
    found = world.codec.identify(confluent(world, schema_id))
    assert isinstance(found, Undecodable)
    assert found.reason == "not_framed"
    assert all(part in found.detail for part in (framing, schema_id, "[registry.<name>]", TOPIC))


@pytest.mark.parametrize("schema_id", ["42", GUID])
def test_a_registrys_schema_without_a_row_is_to_be_resolved(world: World, schema_id: str) -> None:
    world.publish(1)
    world.serve(TOPIC, "main")
    found = world.codec.identify(confluent(world, schema_id))
    assert found == UnresolvedSchema(RegisteredId("main", schema_id))


@pytest.mark.parametrize("schema_id", ["42", GUID])
def test_a_registrys_schema_with_a_row_reads_as_the_published_one(
    world: World, schema_id: str
) -> None:
    world.publish(1)
    world.serve(TOPIC, "main")
    world.resolve(RegisteredId("main", schema_id), 1)
    sent = confluent(world, schema_id)
    found = world.codec.identify(sent)
    assert isinstance(found, Identified)
    event = world.codec.decode(found, sent)
    assert isinstance(event, Event)
    plain = event_of(world, world.value(1, {"a": 7}, event_id="e1"))
    assert world.codec.document(event, 1) == world.codec.document(plain, 1)
    assert event.revision == plain.revision


def test_ids_of_two_registries_are_different_things(world: World) -> None:
    world.publish(1)
    world.serve(TOPIC, "main")
    world.serve("legacy.things", "old")
    world.resolve(RegisteredId("main", "42"), 1)
    sent = confluent(world, "42")
    assert isinstance(world.codec.identify(sent), Identified)
    old = UnresolvedSchema(RegisteredId("old", "42"))
    assert world.codec.identify(sent, "legacy.things") == old
    assert world.codec.identify(replace(sent, topic="legacy.things")) == old


def test_a_registrys_schema_that_is_not_published_is_unknown(world: World) -> None:
    world.serve(TOPIC, "main")
    world.resolve(RegisteredId("main", "42"), 1)
    assert isinstance(world.codec.identify(confluent(world, "42")), UnknownSchema)
    world.publish(1)
    assert isinstance(world.codec.identify(confluent(world, "42")), Identified)
