"""A platform's own records, which have no envelope, and the mapping of them."""

import json
from pathlib import Path

from hookstream.core.model.json import Json, JsonObject

ORDERS = """\
topics: [shop.orders]
record: com.shop.OrderShipped
event_type: order.shipped
versions:
  - version: 1
    schema: order_shipped_v1.avsc
event_id: {field: meta.id}
occurred_at: {field: shippedAt}
entity_id: {field: orderNumber}
environment: {header: env}
"""


def shipped(*more: JsonObject, without: str = "") -> JsonObject:
    """The schema of a record that knows nothing of hookstream."""
    meta: Json = {
        "type": "record",
        "name": "Meta",
        "fields": [{"name": "id", "type": "string"}],
    }
    fields: list[JsonObject] = [
        {"name": "meta", "type": meta},
        {"name": "orderNumber", "type": "long"},
        {"name": "shippedAt", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "note", "type": ["null", "string"], "default": None},
    ]
    kept: list[Json] = [each for each in (*fields, *more) if each["name"] != without]
    return {"type": "record", "name": "OrderShipped", "namespace": "com.shop", "fields": kept}


def record(number: int = 7, **more: object) -> dict[str, object]:
    """The fields of such a record, its logical types raw."""
    return {
        "meta": {"id": f"event-{number}"},
        "orderNumber": number,
        "shippedAt": 1_796_000_000_123,
        "note": None,
        **more,
    }


def write_mapping(
    folder: Path, text: str = ORDERS, *schemas: JsonObject, name: str = "orders"
) -> Path:
    """Write a mapping and the schemas of its versions; return the folder of schemas."""
    mappings = folder / "mappings"
    mappings.mkdir(parents=True, exist_ok=True)
    (mappings / f"{name}.yaml").write_text(text)
    for version, schema in enumerate(schemas or (shipped(),), 1):
        (mappings / f"order_shipped_v{version}.avsc").write_text(json.dumps(schema))
    return folder
