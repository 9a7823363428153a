"""Schemas of one type of event around any data, and the rest of such an event."""

from typing import Any

TYPE = "thing.happened"
ENVELOPE = [
    {"name": "event_id", "type": "string"},
    {"name": "occurred_at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    {"name": "entity_id", "type": "string"},
    {"name": "environment", "type": "string"},
]
HEAD = {
    "event_id": "e",
    "occurred_at": 1_764_072_000_000_000,
    "entity_id": "x",
    "environment": "p",
}


def event_schema(data: Any, version: int) -> dict[str, Any]:  # noqa: ANN401
    return {
        "type": "record",
        "name": "n.Event",
        "eventType": TYPE,
        "eventVersion": version,
        "fields": [*ENVELOPE, {"name": "data", "type": data}],
    }
