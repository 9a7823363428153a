"""Schemas and event fields for tests: the real PrintPrice ones, and small ones made to measure."""

import copy
import json
from collections.abc import Sequence
from pathlib import Path

from hookstream.core.model.json import Json, JsonObject

ROOT = Path(__file__).parents[2]
EVENT_ID = "7d5f6d9e-6f2e-4b8e-9d53-6d7f2f1a4c11"
OCCURRED_AT = 1_764_000_000_000_000


def printprice(event_type: str, version: int = 1) -> JsonObject:
    """A schema of the repository's schemas folder."""
    text = (ROOT / "schemas" / event_type / f"v{version}.avsc").read_text()
    schema: JsonObject = json.loads(text)
    return schema


def event_schema(
    *fields: JsonObject,
    event_type: str = "thing.done",
    version: int = 1,
    name: str = "ThingDone",
) -> JsonObject:
    """An event schema whose `data` has these fields."""
    envelope: list[Json] = [
        {"name": "event_id", "type": {"type": "string", "logicalType": "uuid"}, "doc": "Id."},
        {
            "name": "occurred_at",
            "type": {"type": "long", "logicalType": "timestamp-micros"},
            "doc": "When.",
        },
        {"name": "entity_id", "type": "string", "doc": "About what."},
        {"name": "environment", "type": "string", "doc": "Where."},
        {
            "name": "data",
            "type": {
                "type": "record",
                "name": f"{name}Data",
                "doc": "Data.",
                "fields": [copy.deepcopy(field) for field in fields],
            },
            "doc": "What.",
        },
    ]
    return {
        "type": "record",
        "name": name,
        "namespace": "tests",
        "doc": "Something was done.",
        "eventType": event_type,
        "eventVersion": version,
        "fields": envelope,
    }


def field(name: str, kind: Json, **more: Json) -> JsonObject:
    """A documented field."""
    return {"name": name, "type": kind, "doc": f"The {name}.", **more}


def event_fields(data: JsonObject, *, event_id: str = EVENT_ID) -> dict[str, object]:
    """Envelope and data of an event, the envelope as Avro has it."""
    return {
        "event_id": event_id,
        "occurred_at": OCCURRED_AT,
        "entity_id": "job-1",
        "environment": "production",
        "data": data,
    }


EVENT_TYPES: Sequence[str] = (
    "document.analyzed",
    "pricing.completed",
    "compatibility.evaluated",
    "routing.decided",
    "order.generated",
    "processing.failed",
)
