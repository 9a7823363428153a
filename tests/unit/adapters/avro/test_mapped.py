"""Foreign records become events of the mapped type, read by their own schema at each version."""

import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from fastavro import schemaless_writer
from tests.doubles.foreign import ORDERS, record, shipped, write_mapping
from tests.doubles.schemas import event_fields, field

from hookstream.adapters.avro.codec import AvroCodec
from hookstream.adapters.avro.published import fingerprint_of, schema_row
from hookstream.adapters.avro.registered import Foreign
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.tables.mappings import mapping_key, mapping_row
from hookstream.core.catalog.mapped_schema import event_schema, record_name
from hookstream.core.model.event import Event, Identified, UnknownSchema
from hookstream.core.model.json import JsonObject
from hookstream.core.model.mapping import HeaderSource
from hookstream.core.model.record import Headers, Origin, Record
from hookstream.core.model.registered import RegisteredId
from hookstream.entry.admin.schema_books import book_of_files

TOPIC, NAME = "shop.orders", "com.shop.OrderShipped"
HEADERS: Headers = (("env", b"production"),)
MORE = shipped(field("weight", "double", default=1.5))
TWO_VERSIONS = ORDERS.replace(
    "event_id:", "  - version: 2\n    schema: order_shipped_v2.avsc\nevent_id:"
)


def book(folder: Path, text: str = ORDERS, *schemas: JsonObject) -> SchemaBook:
    made, problems = book_of_files(write_mapping(folder, text, *schemas))
    assert problems == ()
    return made


def foreign(schema: JsonObject) -> Foreign:
    """A schema of a registry; each content has an id of its own."""
    number = int(hashlib.sha256(json.dumps(schema).encode()).hexdigest()[:8], 16)
    return Foreign(RegisteredId("main", str(number)), record_name(schema), schema)


def raw(schema: JsonObject, fields: dict[str, object], head: bytes = b"\0\0\0\0\1") -> bytes:
    body = io.BytesIO()
    body.write(head)
    schemaless_writer(body, schema, fields)
    return body.getvalue()


def read(
    made: SchemaBook,
    schema: JsonObject,
    fields: dict[str, object],
    headers: Headers = HEADERS,
    event_id: str = "",
) -> tuple[AvroCodec, Event]:
    identified = made.mapped.identify(foreign(schema), TOPIC, 5)
    assert isinstance(identified, Identified)
    value = raw(schema, fields)
    codec = AvroCodec(made)
    entry = Record("hookstream.retry.5s", 0, 9, 5, b"k", value, headers)
    event = codec.decode(identified, entry, Origin(TOPIC, 3, 42, 1_796_000_000_000), event_id)
    assert isinstance(event, Event)
    return codec, event


def test_a_foreign_record_is_delivered_whole_with_the_mapped_envelope(tmp_path: Path) -> None:
    codec, event = read(book(tmp_path), shipped(), record(7))
    assert codec.document(event, 1) == {
        "type": "order.shipped",
        "version": 1,
        "timestamp": "2026-11-30T00:53:20.123000Z",
        "id": "event-7",
        "environment": "production",
        "entity_id": "7",
        "data": {
            "meta": {"id": "event-7"},
            "orderNumber": 7,
            "shippedAt": "2026-11-30T00:53:20.123Z",
            "note": None,
        },
    }
    assert event.origin == Origin(TOPIC, 3, 42, 1_796_000_000_000)
    assert codec.shown(event, 1) == codec.document(event, 1)


def test_a_compatible_revision_belongs_to_the_version_and_looks_like_it(tmp_path: Path) -> None:
    made = book(tmp_path)
    codec, event = read(made, MORE, record(7, weight=2.5))
    same, first = read(made, shipped(), record(7))
    assert codec.document(event, 1) == same.document(first, 1)
    assert codec.shown(event, 1) == same.shown(first, 1)
    older = {**shipped(), "doc": "Another revision, of which only the words differ."}
    assert read(made, older, record(7))[1].revision.event_version == 1


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        (shipped(without="note"), "against v1: note: nothing carries this field any more"),
        (
            shipped({"name": "note", "type": ["null", "bytes"]}, without="note"),
            "against v1: note: ",
        ),
    ],
)
def test_an_incompatible_revision_waits_until_a_mapping_has_it_as_a_version(
    tmp_path: Path, schema: JsonObject, why: str
) -> None:
    made = book(tmp_path)
    waiting = made.mapped.identify(foreign(schema), TOPIC, 5)
    assert isinstance(waiting, UnknownSchema)
    assert waiting.schema == NAME
    assert why in waiting.why
    assert "fits no version of order.shipped in the mapping orders" in waiting.why
    later = book(tmp_path, TWO_VERSIONS, shipped(), schema)
    found = later.mapped.identify(foreign(schema), TOPIC, 5)
    assert isinstance(found, Identified)
    assert found.revision.event_version == 2
    assert later.latest("order.shipped") == 2


def test_a_version_is_delivered_as_an_older_one_that_it_carries(tmp_path: Path) -> None:
    renamed = shipped({"name": "carrier", "type": "string"})
    made = book(tmp_path, TWO_VERSIONS, shipped(), renamed)
    codec, event = read(made, renamed, record(7, carrier="DHL"))
    assert event.revision.event_version == 2
    newer, older = codec.document(event, 2), codec.document(event, 1)
    assert isinstance(newer, dict)
    assert isinstance(older, dict)
    data = newer["data"]
    assert isinstance(data, dict)
    assert data.pop("carrier") == "DHL"
    assert older == {**newer, "version": 1}


def test_there_is_no_mapping_of_another_topic_or_record(tmp_path: Path) -> None:
    made = book(tmp_path)
    assert made.mapped.identify(foreign(shipped()), "staging.orders", 5) is None
    other = {**shipped(), "name": "Other"}
    assert made.mapped.identify(foreign(other), TOPIC, 5) is None


def test_without_a_source_the_id_is_the_one_that_is_given(tmp_path: Path) -> None:
    made = book(tmp_path, ORDERS.replace("event_id: {field: meta.id}\n", ""))
    identified = made.mapped.identify(foreign(shipped()), TOPIC, 5)
    assert isinstance(identified, Identified)
    assert identified.by_position
    assert read(made, shipped(), record(7), event_id="abc")[1].event_id == "abc"


def test_a_changed_mapping_counts_at_once_and_a_removed_one_no_more(tmp_path: Path) -> None:
    made = book(tmp_path)
    assert read(made, shipped(), record(7))[1].entity_id == "7"
    (mapping,) = made.mapped.mappings
    changed = replace(mapping, revision=2, entity_id=HeaderSource("env"))
    assert made.put(*mapping_row(changed)) is None
    assert read(made, shipped(), record(7))[1].entity_id == "production"
    assert made.put(mapping_key("orders"), None) is None
    assert made.mapped.identify(foreign(shipped()), TOPIC, 5) is None


def test_a_mapping_that_cannot_be_read_maps_nothing(tmp_path: Path) -> None:
    """Its records wait: by the mapping before they might get another id or environment."""
    made = book(tmp_path)
    problem = made.put(mapping_key("orders"), b'{"format": 9}')
    assert problem is not None
    assert "its format is 9: a newer release wrote it" in problem
    assert made.mapped.identify(foreign(shipped()), TOPIC, 5) is None


def test_schemas_of_one_fingerprint_are_read_by_their_own_logical_types(tmp_path: Path) -> None:
    price: JsonObject = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
    made = book(tmp_path, ORDERS, shipped(field("price", price)))
    finer = shipped(field("price", {**price, "scale": 4}))
    assert fingerprint_of(finer) == fingerprint_of(shipped(field("price", price)))
    assert isinstance(made.mapped.identify(foreign(finer), TOPIC, 5), UnknownSchema)
    codec, event = read(made, shipped(field("price", price)), record(7, price=b"\x04\xd2"))
    document = codec.document(event, 1)
    assert isinstance(document, dict)
    data = document["data"]
    assert isinstance(data, dict)
    assert data["price"] == "12.34"


def test_a_foreign_schema_is_found_by_its_own_fingerprint(tmp_path: Path) -> None:
    made = book(tmp_path)
    fingerprint = fingerprint_of(shipped())
    assert made.foreign(bytes.fromhex(fingerprint)) == Foreign(fingerprint, NAME, shipped())
    assert made.foreign(bytes(8)) is None


def test_a_mapped_type_may_be_written_as_any_other_too(tmp_path: Path) -> None:
    """Tests and the kit write it with the envelope in the record."""
    made = book(tmp_path)
    schema = made.reader("order.shipped", 1)
    assert schema is not None
    value = schema.encode(event_fields({**record(7)}))  # type: ignore[dict-item]
    codec = AvroCodec(made)
    entry = Record("t", 0, 0, 0, None, value, ())
    identified = codec.identify(entry)
    assert isinstance(identified, Identified)
    event = codec.decode(identified, entry)
    assert isinstance(event, Event)
    assert event.entity_id == "job-1"


def test_the_row_of_a_mapped_schema_is_an_ordinary_one(tmp_path: Path) -> None:
    """Releases that know no mappings read it, and match and render the type like any other."""
    made = book(tmp_path)
    schema = made.reader("order.shipped", 1)
    assert schema is not None
    key, value = schema_row(schema.tree, 1)
    other = SchemaBook()
    assert other.put(key, value) is None
    assert other.latest("order.shipped") == 1


def test_records_of_older_revisions_still_belong_to_a_version_that_got_a_field(
    tmp_path: Path,
) -> None:
    """Services that write the older schema do not change at once, and retries never do."""
    made = book(tmp_path)
    assert read(made, shipped(), record(7))[1].revision.event_version == 1
    (mapping,) = made.mapped.mappings
    made.publish(event_schema(MORE, mapping, 1), 2)
    codec, event = read(made, shipped(), record(7))
    document = codec.document(event, 1)
    assert isinstance(document, dict)
    data = document["data"]
    assert isinstance(data, dict)
    assert data["weight"] == 1.5
    # Neither the older nor the newer one, and like the older.
    other = shipped(field("carrier", ["null", "string"], default=None))
    assert read(made, other, record(7, carrier="DHL"))[1].revision.event_version == 1
