"""A registry's schema is what its first row says, and reads as the published schema that it equals."""

import json
from typing import cast

import pytest
from tests.doubles.schemas import event_schema, field

from hookstream.adapters.avro.registered import Foreign, read_registered_key, registered_row
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.model.event import Revision, Undecodable, UnknownSchema
from hookstream.core.model.json import JsonObject
from hookstream.core.model.registered import RegisteredId
from hookstream.errors import InputRefused

SCHEMA = RegisteredId("main", "7")
A = field("a", "long")


def decimal(scale: int) -> JsonObject:
    amount: JsonObject = {
        "type": "bytes",
        "logicalType": "decimal",
        "precision": 12,
        "scale": scale,
    }
    return event_schema(field("amount", amount))


def put(book: SchemaBook, tree: JsonObject, schema: RegisteredId = SCHEMA) -> str | None:
    return book.put(schema.key, registered_row(schema, tree))


@pytest.mark.parametrize(
    "schema",
    [
        RegisteredId("main", "0"),
        RegisteredId("main_eu", "4294967295"),
        RegisteredId("m2", "00112233-4455-6677-8899-aabbccddeeff"),
    ],
)
def test_a_key_is_read_as_it_was_written(schema: RegisteredId) -> None:
    assert read_registered_key(schema.key) == schema


@pytest.mark.parametrize(
    "key",
    [
        "registry/main",
        "registry/main/",
        "registry/main/07",
        "registry/Main/7",
        "registry/7/7",
        "registry/main/-1",
        "registry/main/7/8",
        "registry/main/99999999999",
        "registry/main/0011223344556677",
        "registry/main/7\n",
    ],
)
def test_another_key_is_refused(key: str) -> None:
    with pytest.raises(InputRefused, match="registry/name/id"):
        read_registered_key(key)


def test_a_row_reads_as_the_published_schema_of_its_fingerprint() -> None:
    book = SchemaBook([event_schema(A)])
    assert put(book, event_schema(A)) is None
    meaning = book.registered.meaning(SCHEMA)
    assert isinstance(meaning, Revision)
    assert meaning[:2] == ("thing.done", 1)


def test_documentation_and_the_attributes_that_registries_drop_make_no_difference() -> None:
    book = SchemaBook([event_schema(A)])
    tree = {
        name: value
        for name, value in event_schema(A).items()
        if name not in ("eventType", "eventVersion", "doc")
    }
    assert put(book, tree) is None
    assert isinstance(book.registered.meaning(SCHEMA), Revision)


def test_a_schema_of_equal_fingerprint_with_another_scale_is_not_the_published_one() -> None:
    """123.45 would be delivered as 1.2345."""
    book = SchemaBook([decimal(2)])
    assert put(book, decimal(4)) is None
    meaning = book.registered.meaning(SCHEMA)
    assert isinstance(meaning, UnknownSchema)
    assert "other logical types" in str(meaning)


def test_a_schema_that_declares_a_type_waits_until_that_is_published() -> None:
    book = SchemaBook()
    put(book, event_schema(A))
    meaning = book.registered.meaning(SCHEMA)
    assert isinstance(meaning, UnknownSchema)
    assert "thing.done v1" in str(meaning)
    assert "hookstream schemas apply" in str(meaning)
    book.publish(event_schema(A))
    assert isinstance(book.registered.meaning(SCHEMA), Revision)


def test_any_other_record_is_foreign_and_needs_a_mapping() -> None:
    book = SchemaBook()
    tree: JsonObject = {
        "type": "record",
        "name": "Order",
        "namespace": "shop",
        "fields": [{"name": "number", "type": "string"}],
    }
    put(book, tree)
    assert book.registered.meaning(SCHEMA) == Foreign(SCHEMA, "shop.Order", tree)


def test_a_row_that_differs_from_the_first_is_refused_and_the_first_stays() -> None:
    """A registry that was restored with other ids must not change how old records are read."""
    book = SchemaBook([event_schema(A)])
    assert put(book, event_schema(A)) is None
    problem = put(book, event_schema(field("b", "long")))
    assert problem is not None
    assert "differs" in problem
    assert book.registered.tree(SCHEMA) == event_schema(A)


def test_a_row_with_its_keys_in_another_order_is_the_same() -> None:
    book = SchemaBook()
    put(book, event_schema(A))
    turned = cast("JsonObject", dict(reversed(event_schema(A).items())))
    assert put(book, turned) is None


def test_one_id_of_two_registries_is_two_schemas() -> None:
    book = SchemaBook()
    assert put(book, event_schema(A)) is None
    other = RegisteredId("old", "7")
    assert put(book, event_schema(field("b", "long")), other) is None
    assert book.registered.tree(other) != book.registered.tree(SCHEMA)


@pytest.mark.parametrize(
    ("type_", "why"),
    [
        ({"type": "array", "items": "null"}, "take no bytes"),
        (["null", "tests.ThingDone"], "contains itself"),
    ],
)
def test_a_row_that_could_harm_the_decoder_is_never_used(type_: JsonObject, why: str) -> None:
    book = SchemaBook()
    problem = put(book, event_schema(field("a", type_)))
    assert problem is not None
    meaning = book.registered.meaning(SCHEMA)
    assert isinstance(meaning, Undecodable)
    assert meaning.reason == "hostile_schema"
    assert why in meaning.detail


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"no json",
        b"[]",
        b'{"format": 2}',
        json.dumps({"format": 1, "registry": "main", "id": "7", "schema": "string"}).encode(),
        json.dumps(
            {"format": 1, "registry": "main", "id": "8", "schema": event_schema(A)}
        ).encode(),
    ],
)
def test_an_unreadable_row_is_reported_and_leaves_the_id_unresolved(value: bytes) -> None:
    book = SchemaBook()
    assert book.put(SCHEMA.key, value) is not None
    assert book.registered.meaning(SCHEMA) is None


def test_a_removed_row_leaves_the_id_unresolved() -> None:
    book = SchemaBook()
    put(book, event_schema(A))
    assert book.put(SCHEMA.key, None) is None
    assert book.registered.meaning(SCHEMA) is None


def test_ids_of_rows_are_listed_in_order() -> None:
    book = SchemaBook()
    for name in ("9", "7"):
        put(book, event_schema(A), RegisteredId("main", name))
    assert [each.id for each in book.registered] == ["7", "9"]


def test_the_form_of_a_row_stays() -> None:
    """It is persisted, and read by every later release."""
    tree: JsonObject = {"type": "record", "name": "A", "fields": []}
    schema = b'{"type":"record","name":"A","fields":[]}'
    assert SCHEMA.key == "registry/main/7"
    assert registered_row(SCHEMA, tree) == (
        b'{"format":1,"registry":"main","id":"7","schema":' + schema + b"}"
    )
