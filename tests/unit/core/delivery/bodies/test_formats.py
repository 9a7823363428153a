"""Bodies of every format that is text around an event's data."""

import datetime as dt

import orjson
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event

from hookstream.core.delivery.bodies import cloudevents
from hookstream.core.delivery.bodies.formats import (
    SharedFormat,
    head_of,
    media_type,
    with_data,
)
from hookstream.core.model.json import JsonObject
from hookstream.core.model.subscription import BodyFormat, Content

DOCUMENT: JsonObject = {
    "type": "order.generated",
    "version": 2,
    "timestamp": "2026-11-24T08:15:30.250000Z",
    "id": "evt-1",
    "environment": "production",
    "entity_id": "order-9",
    "data": {"total": "1.00", "pages": 48},
}


def body(
    shared: SharedFormat, content: Content = Content.FULL, document: JsonObject = DOCUMENT
) -> bytes:
    head = orjson.dumps(head_of(document, shared, content))
    return head if content is Content.THIN else with_data(head, orjson.dumps(document["data"]))


def test_a_standard_body_is_the_document_itself() -> None:
    assert body(BodyFormat.STANDARD) == orjson.dumps(DOCUMENT)


def test_a_thin_standard_body_has_everything_but_the_data() -> None:
    without = {name: value for name, value in DOCUMENT.items() if name != "data"}
    assert body(BodyFormat.STANDARD, Content.THIN) == orjson.dumps(without)


def test_a_cloudevent_has_its_attributes_in_the_documented_order() -> None:
    assert list(orjson.loads(body(BodyFormat.CLOUDEVENTS)).items()) == [
        ("specversion", "1.0"),
        ("id", "evt-1"),
        ("source", "/production/order.generated"),
        ("type", "order.generated"),
        ("subject", "order-9"),
        ("time", "2026-11-24T08:15:30.250000Z"),
        ("datacontenttype", "application/json"),
        ("environment", "production"),
        ("dataversion", 2),
        ("data", {"total": "1.00", "pages": 48}),
    ]


def test_a_thin_cloudevent_has_no_data_and_names_no_type_of_it() -> None:
    full = orjson.loads(body(BodyFormat.CLOUDEVENTS))
    thin = orjson.loads(body(BodyFormat.CLOUDEVENTS, Content.THIN))
    assert full.keys() - thin.keys() == {"datacontenttype", "data"}
    assert thin == {name: full[name] for name in thin}


@pytest.mark.parametrize("content", Content)
def test_the_library_of_cloudevents_reads_a_body(content: Content) -> None:
    sent = HTTPMessage(
        {"content-type": media_type(BodyFormat.CLOUDEVENTS)},
        body(BodyFormat.CLOUDEVENTS, content),
    )
    read = from_structured_event(sent)
    assert read.get_specversion() == "1.0"
    assert read.get_id() == "evt-1"
    assert read.get_source() == "/production/order.generated"
    assert read.get_type() == "order.generated"
    assert read.get_subject() == "order-9"
    assert read.get_time() == dt.datetime(2026, 11, 24, 8, 15, 30, 250_000, dt.UTC)
    assert read.get_extension("environment") == "production"
    assert read.get_extension("dataversion") == 2
    assert read.get_data() == (DOCUMENT["data"] if content is Content.FULL else None)


def test_an_environment_that_no_uri_can_hold_is_escaped_in_the_source() -> None:
    odd = {**DOCUMENT, "environment": "a b/ü%"}
    found = cloudevents.attributes(odd, Content.THIN)
    assert found["source"] == "/a%20b%2F%C3%BC%25/order.generated"
    assert found["environment"] == "a b/ü%"


def test_each_format_has_its_media_type() -> None:
    assert {each.value: media_type(each) for each in BodyFormat} == {
        "standard": "application/json",
        "cloudevents": "application/cloudevents+json",
        "template": "application/json",
    }
