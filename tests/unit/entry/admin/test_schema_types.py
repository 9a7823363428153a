"""`schemas types` names every version with the ids whose records are of it, and what is none."""

from tests.doubles.schemas import event_schema, field

from hookstream.adapters.avro.published import own_schemas
from hookstream.adapters.avro.registered import registered_row
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.model.json import JsonObject
from hookstream.core.model.registered import RegisteredId
from hookstream.entry.admin.schema_types import types

A, B = event_schema(field("a", "long")), event_schema(field("b", "long"))
FOREIGN: JsonObject = {
    "type": "record",
    "name": "Order",
    "namespace": "shop",
    "fields": [{"name": "number", "type": "string"}],
}


def test_each_version_has_its_source_and_the_ids_of_registries() -> None:
    book = SchemaBook([A, *own_schemas()])
    for name, tree in (("7", A), ("9", A), ("11", FOREIGN), ("12", B)):
        schema = RegisteredId("main", name)
        assert book.put(schema.key, registered_row(schema, tree)) is None

    found = list(types(book))

    assert [each for each in found if each["event_type"] == "thing.done"] == [
        {
            "event_type": "thing.done",
            "version": 1,
            "revisions": 1,
            "from": "published",
            "registered": [{"registry": "main", "id": "7"}, {"registry": "main", "id": "9"}],
        }
    ]
    [attempt] = [each for each in found if each["event_type"] == "hookstream.attempt"]
    assert attempt["from"] == "hookstream"
    foreign, unpublished = [each for each in found if each["event_type"] is None]
    assert (foreign["record"], foreign["why"]) == ("shop.Order", "no mapping makes events of it")
    assert "is not published" in str(unpublished["why"])
