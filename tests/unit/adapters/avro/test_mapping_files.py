"""Mapping files say where an envelope comes from, or are refused with file, line and remedy."""

import json
from pathlib import Path

import pytest
from tests.doubles.foreign import ORDERS, shipped, write_mapping
from tests.doubles.schemas import event_schema, field

from hookstream.adapters.avro.files import read_schema_files
from hookstream.core.model.json import JsonObject
from hookstream.core.model.mapping import FieldSource, HeaderSource, Mapping, TimeUnit

MAPPING = Mapping(
    "orders",
    ("shop.orders",),
    "order.shipped",
    (1,),
    entity_id=FieldSource(("orderNumber",)),
    environment=HeaderSource("env"),
    event_id=FieldSource(("meta", "id")),
    occurred_at=FieldSource(("shippedAt",)),
    record="com.shop.OrderShipped",
)


def problems(folder: Path) -> list[tuple[str, str]]:
    return [(each.where, each.what) for each in read_schema_files(folder).problems]


def test_a_mapping_and_the_schema_of_its_version_are_read(tmp_path: Path) -> None:
    files = read_schema_files(write_mapping(tmp_path))
    assert files.problems == ()
    (declared,) = files.mappings
    assert declared.mapping == MAPPING
    (schema,) = files.published
    assert (schema.event_type, schema.version, schema.mapped) == ("order.shipped", 1, True)
    fields = schema.tree["fields"]
    assert isinstance(fields, list)
    assert fields[-1] == {
        "name": "data",
        "type": shipped(),
        "doc": "The record as its producer wrote it.",
    }


@pytest.mark.parametrize(
    ("was", "now", "line", "why"),
    [
        ("topics: [shop.orders]", "topics: [shop/orders]", 1, "topics[0]: 'shop/orders' is not a topic's name, in which * and ? are wildcards"),
        ("record: com.shop.OrderShipped", "record: com.shop.Other", 6, "versions[0].schema: is the schema of com.shop.OrderShipped, but the mapping is for record com.shop.Other"),
        ("record: com.shop.OrderShipped", "subject: orders-value", 6, "versions[0].schema: is the schema of com.shop.OrderShipped, whose subject on shop.orders is shop.orders-value, com.shop.OrderShipped or shop.orders-com.shop.OrderShipped, and not orders-value"),
        ("record: com.shop.OrderShipped\n", "", 1, "must have one of record and subject"),
        ("event_type: order.shipped", "event_type: Shipped", 3, "event_type: 'Shipped' is not a dotted lower-case name such as order.placed"),
        ("order_shipped_v1.avsc", "order_shipped_v9.avsc", 6, "versions[0].schema: order_shipped_v9.avsc cannot be read: No such file or directory"),
        ("order_shipped_v1.avsc", "../v1.avsc", 6, "versions[0].schema: must be below the mapping's folder"),
        ("{field: meta.id}", "{field: meta.idd}", 7, "event_id: com.shop.Meta has no field idd (did you mean id?) (in the schema of version 1)"),
        ("{field: meta.id}", "{constant: x}", 7, "event_id: cannot be a constant: it differs between events"),
        ("{field: meta.id}", "{field: meta.id, header: x}", 7, "event_id: is none of {field: PATH}, {header: NAME}, {constant: TEXT}"),
        ("{field: meta.id}", "{header: hs-event-id}", 7, "event_id: the header hs-event-id is not the producer's to set"),
        ("{field: shippedAt}", "{field: orderNumber}", 8, "occurred_at: is a plain long: `unit` must say what it counts (seconds, millis, micros, nanos) (in the schema of version 1)"),
        ("environment: {header: env}\n", "", 1, "environment: is missing: it has no default"),
        ("environment: {header: env}", 'environment: {constant: ""}', 10, "environment: '' is not printable text of 1 to 64 characters"),
        ("topics: [shop.orders]", "topics: [shop.*]\nunit: millis\ncolour: red", 3, "colour: there is no such field"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(
    tmp_path: Path, was: str, now: str, line: int, why: str
) -> None:
    assert was in ORDERS
    found = problems(write_mapping(tmp_path, ORDERS.replace(was, now)))
    assert (f"mappings/orders.yaml:{line}", why) in found


def test_a_constant_environment_needs_topics_that_are_named_in_full(tmp_path: Path) -> None:
    constant = ORDERS.replace("{header: env}", "{constant: production}")
    assert problems(write_mapping(tmp_path, constant)) == []
    wide = constant.replace("[shop.orders]", "[shop.orders, shop.*]")
    ((where, why),) = problems(write_mapping(tmp_path, wide))
    assert where == "mappings/orders.yaml:10"
    assert why == (
        "environment: is a constant, and shop.* matches several topics: one of another environment"
        " would be delivered as this one. Name each topic, or take a field or a header"
    )


def test_a_plain_number_is_a_time_of_the_named_unit(tmp_path: Path) -> None:
    text = ORDERS.replace("{field: shippedAt}", "{field: orderNumber}\nunit: seconds")
    (declared,) = read_schema_files(write_mapping(tmp_path, text)).mappings
    assert declared.mapping.unit is TimeUnit.SECONDS


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({**shipped(), "eventType": "a.b"}, "declares an eventType: it needs no mapping"),
        (shipped({"name": "next", "type": ["null", "OrderShipped"]}), "contains itself"),
        (shipped({"name": "many", "type": {"type": "array", "items": "null"}}), "take no bytes"),
    ],
)  # fmt: skip
def test_a_foreign_schema_passes_the_same_safety_rules(
    tmp_path: Path, schema: JsonObject, why: str
) -> None:
    ((where, what),) = problems(write_mapping(tmp_path, ORDERS, schema))
    assert where == "mappings/orders.yaml:6"
    assert why in what


def test_a_schema_that_no_mapping_names_and_a_mapping_elsewhere_are_problems(
    tmp_path: Path,
) -> None:
    folder = write_mapping(tmp_path, ORDERS, shipped(), shipped(field("more", "int")))
    below = folder / "mappings" / "below"
    below.mkdir()
    (below / "other.yaml").write_text(ORDERS)
    (folder / "mappings" / "Readme.md").write_text("Mappings.")
    files = read_schema_files(folder)
    assert [(each.where, each.what.split(":")[0]) for each in files.problems] == [
        ("mappings/below/other.yaml", "is not where a mapping must be"),
        ("mappings/order_shipped_v2.avsc", "is not read"),
    ]
    assert [each.where for each in files.notes] == ["mappings/Readme.md"]


def test_a_record_without_a_namespace_keeps_its_name(tmp_path: Path) -> None:
    schema = {name: value for name, value in shipped().items() if name != "namespace"}
    text = ORDERS.replace("com.shop.OrderShipped", "OrderShipped")
    assert problems(write_mapping(tmp_path, text, schema)) == []


def test_event_types_beside_mappings_are_read_as_before(tmp_path: Path) -> None:
    folder = write_mapping(tmp_path)
    (folder / "thing.done").mkdir()
    (folder / "thing.done" / "v1.avsc").write_text(json.dumps(event_schema(field("a", "int"))))
    files = read_schema_files(folder)
    assert files.problems == ()
    assert [each.event_type for each in files.schemas] == ["thing.done"]
    assert [each.event_type for each in files.published] == ["thing.done", "order.shipped"]
