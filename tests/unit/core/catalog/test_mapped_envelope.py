"""Where each field of a mapped record's envelope comes from, and what is said of what has none."""

import pytest

from hookstream.core.avro.reader import read_schema
from hookstream.core.catalog.mapped_envelope import MappedEnvelope, mapped_envelope
from hookstream.core.model.envelope import Envelope
from hookstream.core.model.event import Undecodable
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.mapping import (
    ConstantSource,
    EnvelopeSource,
    FieldSource,
    HeaderSource,
    Mapping,
    TimeUnit,
    position_id,
)
from hookstream.core.model.record import Headers

UUID: Json = {"type": "fixed", "name": "Id", "size": 16, "logicalType": "uuid"}
ORDER_1, PRODUCTION = ConstantSource("order-1"), ConstantSource("production")
AT = 1_796_000_000_123


def schema(*fields: tuple[str, Json]) -> JsonObject:
    return {
        "type": "record",
        "name": "shop.Order",
        "fields": [{"name": name, "type": kind} for name, kind in fields],
    }


ORDER = schema(
    ("id", UUID),
    ("number", "long"),
    ("state", {"type": "enum", "name": "State", "symbols": ["NEW", "PAID"]}),
    ("ratio", "double"),
    ("nothing", "null"),
    ("at", {"type": "long", "logicalType": "timestamp-nanos"}),
    ("seconds", "int"),
    ("day", {"type": "int", "logicalType": "date"}),
    (
        "buyer",
        [
            "null",
            {"type": "record", "name": "Buyer", "fields": [{"name": "mail", "type": "string"}]},
        ],
    ),
    ("mixed", ["bytes", "string"]),
    ("twins", ["string", {"type": "enum", "name": "Twin", "symbols": ["A"]}]),
)
FIELDS: dict[str, object] = {
    "id": bytes(range(16)),
    "number": 42,
    "state": "PAID",
    "at": 1_796_000_000_123_456_789,
    "seconds": 1_796_000_000,
    "buyer": {"mail": "a@example.org"},
    "twins": "A",
}


def field(path: str) -> FieldSource:
    return FieldSource(tuple(path.split(".")))


def mapping(
    *,
    event_id: EnvelopeSource | None = None,
    occurred_at: EnvelopeSource | None = None,
    entity_id: EnvelopeSource = ORDER_1,
    environment: EnvelopeSource = PRODUCTION,
    unit: TimeUnit | None = None,
) -> Mapping:
    return Mapping(
        "orders",
        ("shop.orders",),
        "order.placed",
        (1,),
        entity_id,
        environment,
        event_id,
        occurred_at,
        unit,
        record="shop.Order",
    )


def read(made: Mapping, fields: dict[str, object] = FIELDS, headers: Headers = ()) -> object:
    envelope = mapped_envelope(made, read_schema(ORDER))
    assert isinstance(envelope, MappedEnvelope)
    return envelope.read(fields, headers, AT, "position")


def detail(made: Mapping, fields: dict[str, object] = FIELDS, headers: Headers = ()) -> str:
    found = read(made, fields, headers)
    assert isinstance(found, Undecodable)
    assert found.reason == "bad_envelope"
    return found.detail


def test_every_field_may_come_from_elsewhere() -> None:
    made = mapping(
        event_id=field("id"),
        occurred_at=field("at"),
        entity_id=field("buyer.mail"),
        environment=HeaderSource("env"),
    )
    assert read(made, headers=[("env", b"staging"), ("env", b"production")]) == Envelope(
        "00010203-0405-0607-0809-0a0b0c0d0e0f",
        1_796_000_000_123_456,
        "a@example.org",
        "production",
    )


def test_without_sources_an_event_has_its_records_time_and_position() -> None:
    assert read(mapping()) == Envelope("position", AT * 1_000, "order-1", "production")


@pytest.mark.parametrize(
    ("source", "expected"),
    [("number", "42"), ("state", "PAID"), ("twins", "A"), ("buyer.mail", "a@example.org")],
)
def test_text_is_taken_from_whole_numbers_enums_and_nested_records(
    source: str, expected: str
) -> None:
    found = read(mapping(entity_id=field(source)))
    assert isinstance(found, Envelope)
    assert found.entity_id == expected


@pytest.mark.parametrize(
    ("source", "unit", "headers"),
    [
        (field("seconds"), TimeUnit.SECONDS, ()),
        (HeaderSource("t"), TimeUnit.MILLIS, [("t", b"1796000000000")]),
        (HeaderSource("t"), None, [("t", b"2026-11-29T23:53:20+00:30")]),
    ],
)
def test_a_time_is_a_number_of_a_unit_or_rfc_3339(
    source: EnvelopeSource, unit: TimeUnit | None, headers: Headers
) -> None:
    found = read(mapping(occurred_at=source, unit=unit), headers=headers)
    assert isinstance(found, Envelope)
    assert found.occurred_at == 1_795_994_600_000_000 if unit is None else 1_796_000_000_000_000


def test_what_is_missing_names_mapping_source_and_field() -> None:
    assert detail(mapping(entity_id=field("buyer.mail")), {**FIELDS, "buyer": None}) == (
        "mapping orders: field buyer.mail: entity_id is missing; it must be printable text of 1 to"
        " 200 characters"
    )
    assert detail(mapping(environment=HeaderSource("env"))).startswith(
        "mapping orders: header env: environment is missing"
    )


def test_what_is_wrong_is_never_repaired() -> None:
    env = mapping(environment=HeaderSource("env"))
    assert "environment is 'a\\nb'" in detail(env, headers=[("env", b"a\nb")])
    assert "environment is missing" in detail(env, headers=[("env", b"\xff")])
    at = mapping(occurred_at=HeaderSource("t"))
    assert detail(at, headers=[("t", b"2026-11-29T01:02:03")]) == (
        "mapping orders: header t: occurred_at '2026-11-29T01:02:03' has no UTC offset (write a Z"
        " at its end)"
    )
    millis = mapping(occurred_at=HeaderSource("t"), unit=TimeUnit.MILLIS)
    assert "occurred_at is '-1', not a whole number of millis" in detail(
        millis, headers=[("t", b"-1")]
    )


def test_a_header_that_no_tier_would_carry_is_not_seen_at_the_first_attempt_either() -> None:
    flood = [(f"h{number}", b"") for number in range(70)]
    made = mapping(environment=HeaderSource("env"))
    assert "environment is missing" in detail(made, headers=[*flood, ("env", b"production")])
    assert isinstance(read(made, headers=[("env", b"production"), *flood]), Envelope)


@pytest.mark.parametrize(
    ("made", "name", "why"),
    [
        (mapping(entity_id=field("nmber")), "entity_id", "shop.Order has no field nmber (did you mean number?)"),
        (mapping(entity_id=field("number.x")), "entity_id", "there is no field number.x: number is long"),
        (mapping(entity_id=field("ratio")), "entity_id", "is double: a string, an enum, a whole number or a uuid is taken"),
        (mapping(entity_id=field("nothing")), "entity_id", "is null: it never has a value"),
        (mapping(entity_id=field("mixed")), "entity_id", "is bytes: a string, an enum, a whole number or a uuid is taken"),
        (mapping(entity_id=field("at")), "entity_id", "is long timestamp-nanos: a string, an enum, a whole number or a uuid is taken"),
        (mapping(occurred_at=field("seconds")), "occurred_at", "is a plain int: `unit` must say what it counts (seconds, millis, micros, nanos)"),
        (mapping(occurred_at=field("day")), "occurred_at", "is int date: a timestamp, a whole number or a string is taken"),
    ],
)  # fmt: skip
def test_a_source_that_cannot_be_read_is_refused_before_any_record(
    made: Mapping, name: str, why: str
) -> None:
    assert mapped_envelope(made, read_schema(ORDER)) == [(name, why)]


def test_a_position_is_one_id_for_one_topic_partition_and_offset() -> None:
    assert position_id(bytes(16), 3, 42) == "e74394ca1f1093482795da8c8cf2d160"
    several = {
        position_id(topic, partition, offset)
        for topic in (bytes(16), bytes(15) + b"\x01")
        for partition in (1, 11)
        for offset in (1, 11, 111)
    }
    assert len(several) == 12
