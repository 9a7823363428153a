"""`schemas types` names every version with the ids whose records are of it, and what is none."""

from pathlib import Path

from tests.doubles.foreign import shipped, write_mapping
from tests.doubles.schemas import event_schema, field

from hookstream.adapters.avro.published import own_schemas
from hookstream.adapters.avro.registered import registered_row
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.model.json import JsonObject
from hookstream.core.model.registered import RegisteredId
from hookstream.entry.admin.schema_books import book_of_files
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


def test_a_mapped_version_has_the_ids_of_every_revision_that_fits_it(tmp_path: Path) -> None:
    book, problems = book_of_files(write_mapping(tmp_path))
    assert problems == ()
    longer = shipped(field("weight", "double", default=0.0))
    for name, tree in (("7", shipped()), ("8", longer), ("9", shipped(without="note"))):
        schema = RegisteredId("main", name)
        assert book.put(schema.key, registered_row(schema, tree)) is None

    mapped, unfit = (each for each in types(book) if each["event_type"] in ("order.shipped", None))

    assert mapped == {
        "event_type": "order.shipped",
        "version": 1,
        "revisions": 1,
        "from": "mapping",
        "registered": [{"registry": "main", "id": "7"}, {"registry": "main", "id": "8"}],
    }
    assert unfit["registered"] == [{"registry": "main", "id": "9"}]
    assert "fits no version of order.shipped in the mapping orders" in str(unfit["why"])
