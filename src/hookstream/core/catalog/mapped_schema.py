"""Makes an event schema of a foreign one, and finds the version that a foreign revision belongs to.

The event schema of a mapped type has the envelope, and as `data` the whole foreign record. It is
published like any other, so that filters, versions, templates and JSON Schema need no second way.
"""

from typing import Final

from hookstream.core.avro.nodes import AvroSchema, RecordNode
from hookstream.core.avro.reader import SchemaRefused, read_schema
from hookstream.core.avro.render import NotRenderable, needs_branch_names
from hookstream.core.catalog.body_changes import body_changes
from hookstream.core.catalog.compatibility import incompatibilities, vanished
from hookstream.core.catalog.growth import too_much
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.mapping import Mapping, source_document

EVENT_ID_FROM: Final = "eventIdFrom"
"""The attribute of a mapped type's schema that says where its event ids come from, for ever."""


def event_schema(foreign: JsonObject, mapping: Mapping, version: int) -> JsonObject:
    """Return the event schema of a version of a mapped type.

    It has no namespace, or types without one in the foreign schema would get it.

    Args:
        foreign: A record schema, which stands alone.
        mapping: What makes events of its records.
        version: The version.
    """
    text: JsonObject = {"type": "string"}
    moment: JsonObject = {"type": "long", "logicalType": "timestamp-micros"}
    fields: list[Json] = [
        {"name": "event_id", "type": text, "doc": "The event."},
        {"name": "occurred_at", "type": moment, "doc": "When it happened."},
        {"name": "entity_id", "type": text, "doc": "What it is about."},
        {"name": "environment", "type": text, "doc": "Where it happened."},
        {"name": "data", "type": foreign, "doc": "The record as its producer wrote it."},
    ]
    # A segment of a type begins with a letter, so no two types get one name.
    name = mapping.event_type.replace("_", "__").replace(".", "_")
    return {
        "type": "record",
        "name": f"Mapped_{name}",
        "doc": f"Records of {record_name(foreign)}, mapped.",
        "eventType": mapping.event_type,
        "eventVersion": version,
        EVENT_ID_FROM: source_document(mapping.event_id),
        "fields": fields,
    }


def is_mapped(tree: JsonObject) -> bool:
    """Return whether a schema is the event schema of a mapped type."""
    return EVENT_ID_FROM in tree


def foreign_schema(tree: JsonObject) -> JsonObject | None:
    """Return the foreign schema within the event schema of a mapped type; None for any other schema."""
    if not is_mapped(tree):
        return None
    fields = tree.get("fields")
    for field in fields if isinstance(fields, list) else ():
        if isinstance(field, dict) and field.get("name") == "data":
            data = field.get("type")
            return data if isinstance(data, dict) else None
    return None


def record_name(foreign: JsonObject) -> str:
    """Return the full name of a record schema; empty if it is no record.

    Raises:
        SchemaRefused: It is not a valid Avro schema.
    """
    root = read_schema(foreign).root
    return root.name if isinstance(root, RecordNode) else ""


def foreign_breaches(foreign: JsonObject) -> list[str]:
    """Return why records of a safe foreign schema could not be delivered, one sentence each.

    Its names, docs and logical types are its owner's: the rules of `core.catalog.lint` do not apply.
    """
    try:
        read = read_schema(foreign)
    except SchemaRefused as refused:
        return [str(refused)]
    if not isinstance(read.root, RecordNode):
        return ["the schema is not a record"]
    if "eventType" in read.root.attributes:
        return ["the schema declares an eventType: it needs no mapping"]
    return [*_not_rendered(read), *too_much(read)]


def _not_rendered(schema: AvroSchema) -> list[str]:
    try:
        needs_branch_names(schema)
    except NotRenderable as problem:
        return [str(problem)]
    return []


def misfits(foreign: JsonObject, version: JsonObject) -> list[str]:
    """Return why a foreign schema is no compatible revision of another one, a sentence each.

    Empty: its records are read as that schema without losing a field of it, and their JSON looks alike.

    Raises:
        SchemaRefused: One of the two is not a valid Avro schema.
    """
    found = incompatibilities(foreign, version)
    return found or [*vanished(version, foreign), *body_changes(version, foreign)]
