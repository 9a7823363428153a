"""Orders of both versions reach partners of both, and no version loses a value of the other."""

from collections.abc import Iterator
from typing import Any

import orjson
from examples.printprice.generator import Happening, as_version_2, events
from tests.doubles.schemas import EVENT_ID, printprice

from hookstream.adapters.avro.codec import AvroCodec
from hookstream.adapters.avro.encoder import EventEncoder
from hookstream.adapters.avro.published import fingerprint_of
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.catalog.publication import (
    DeclaredSchema,
    KnownSchema,
    Novelty,
    plan_publication,
)
from hookstream.core.model.event import Event, Identified
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.record import Record

ORDER = "order.generated"
V1, V2 = printprice(ORDER, 1), printprice(ORDER, 2)
BOOK = SchemaBook([V1, V2])


def orders() -> Iterator[Happening]:
    found = [each for each in events(7, 600) if each.event_type == ORDER]
    assert any(each.data["customer_reference"] is not None for each in found)
    return iter(found)


def data_at(version: int, written: Happening) -> Json:
    """Return the data of an event as a subscription that is pinned to `version` receives it."""
    fields = {
        "event_id": EVENT_ID,
        "occurred_at": "2026-11-24T08:15:30Z",
        "entity_id": written.entity_id,
        "environment": written.environment,
        "data": written.data,
    }
    value = EventEncoder(BOOK).encode(ORDER, fields, written.version)
    record = Record("t", 0, 0, 0, None, value, ())
    codec = AvroCodec(BOOK)
    found = codec.identify(record)
    assert isinstance(found, Identified)
    event = codec.decode(found, record)
    assert isinstance(event, Event)
    document = codec.document(event, version)
    assert isinstance(document, dict)
    assert document["version"] == version
    return document["data"]


def test_an_order_written_as_version_2_is_at_version_1_what_version_1_would_have_written() -> None:
    for order in orders():
        delivered = data_at(1, as_version_2(order))
        assert orjson.dumps(delivered) == orjson.dumps(order.data)


def test_an_order_written_as_version_2_is_delivered_as_it_was_written() -> None:
    for order in orders():
        written = as_version_2(order)
        assert data_at(2, written) == written.data


def test_an_order_written_as_version_1_has_at_version_2_its_values_under_the_new_names() -> None:
    for order in orders():
        as_v2 = as_version_2(order).data
        defaults: JsonObject = {"totals": None, "partial_delivery": False, "tags": []}
        assert data_at(2, order) == {**as_v2, **defaults}


def first_revision() -> JsonObject:
    """Return version 1 as it was before version 2 was planned: without alias and channel."""
    tree: Any = printprice(ORDER, 1)
    data = tree["fields"][-1]["type"]
    data["fields"] = [each for each in data["fields"] if each["name"] != "channel"]
    for each in data["fields"]:
        each.pop("aliases", None)
    first: JsonObject = tree
    return first


def test_both_files_can_be_published_while_partners_are_pinned_to_the_first_revision() -> None:
    old = first_revision()
    known = KnownSchema(ORDER, 1, fingerprint_of(old), 1, old)
    files = [
        DeclaredSchema(f"v{version}.avsc", ORDER, version, fingerprint_of(tree), tree)
        for version, tree in ((1, V1), (2, V2))
    ]
    plan = plan_publication(files, [known], lambda _type, _version: True)
    assert (plan.problems, plan.notes) == ((), ())
    assert [(each.number, each.novelty) for each in plan.publications] == [
        (2, Novelty.REVISION),
        (1, Novelty.VERSION),
    ]
