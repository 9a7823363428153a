"""Rules for the schema of an event type beyond valid Avro.

The rules keep bodies predictable (the envelope, logical types that are valid for their type,
`"json": "string"` only where it has an effect), readable (a doc on every field), resolvable (one
full name for all versions of a type) and decodable (defaults that a decoder can fill in).
"""

import re
from collections.abc import Iterator
from typing import Final

from hookstream.core.avro.nodes import (
    AvroSchema,
    AvroType,
    FieldNode,
    Fixed,
    Logical,
    Primitive,
    RecordNode,
    Resolved,
    walk,
)
from hookstream.core.avro.reader import SchemaRefused, read_schema
from hookstream.core.catalog.filling import Defaults, NoValue
from hookstream.core.catalog.growth import too_much
from hookstream.core.model.json import Json
from hookstream.core.model.parts import joined

MAX_VERSION: Final = 9999
EVENT_TYPE: Final = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)+")
_MAX_EVENT_TYPE = 200
_TEXT: Final = "text (a string)"
_INSTANT: Final = "a long with the logical type timestamp-micros"
_RECORD: Final = "a record"
_ENVELOPE: Final = {
    "event_id": _TEXT,
    "occurred_at": _INSTANT,
    "entity_id": _TEXT,
    "environment": _TEXT,
    "data": _RECORD,
}


def breaches(schema: Json) -> list[str]:
    """Return the rules that the schema of an event type breaks, one sentence with its path each.

    For a malformed schema, only that is reported. A recursive one must have been refused before
    (`core.catalog.safety`).
    """
    try:
        read = read_schema(schema)
    except SchemaRefused as refused:
        return [str(refused)]
    if not isinstance(read.root, RecordNode):
        return ["the schema of an event type is a record"]
    return [
        *_of_root(read.root),
        *_of_envelope(read, read.root),
        *(why for at, node in walk(read.root) for why in _of_type(read, node, at)),
        *too_much(read),
    ]


class FullNames:
    """Checks the full names of all types and versions, one schema after the other.

    Avro resolves records by name: all versions of a type share one full name, two types never do.
    """

    def __init__(self) -> None:
        """Know none."""
        self._name_of: dict[str, str] = {}
        self._type_of: dict[str, str] = {}
        self._said: set[str] = set()

    def add(self, schema: Json) -> list[str]:
        """Add a schema; return its conflicts with earlier ones, each sentence once.

        Raises:
            SchemaRefused: It is not a valid Avro schema.
        """
        root = read_schema(schema).root
        if not isinstance(root, RecordNode):
            return []
        event_type = str(root.attributes.get("eventType"))
        found = []
        name = self._name_of.setdefault(event_type, root.name)
        if name != root.name:
            found.append(f"{event_type} is named both {name} and {root.name}")
        owner = self._type_of.setdefault(root.name, event_type)
        if owner != event_type:
            found.append(f"the name {root.name} belongs to both {owner} and {event_type}")
        new = [why for why in found if why not in self._said]
        self._said.update(new)
        return new


def _of_root(root: RecordNode) -> Iterator[str]:
    event_type, version = root.attributes.get("eventType"), root.attributes.get("eventVersion")
    if not isinstance(event_type, str) or not EVENT_TYPE.fullmatch(event_type):
        yield "eventType is a dotted lower-case name such as pricing.completed"
    elif len(event_type) > _MAX_EVENT_TYPE:
        yield f"eventType has at most {_MAX_EVENT_TYPE} characters"
    if type(version) is not int or not 1 <= version <= MAX_VERSION:
        yield f"eventVersion is a whole number from 1 to {MAX_VERSION}"
    if "." not in root.name:
        yield f"the record {root.name} has no namespace"


def _of_envelope(schema: AvroSchema, root: RecordNode) -> Iterator[str]:
    by_name = {field.name: field for field in root.fields}
    for name, wanted in _ENVELOPE.items():
        field = by_name.get(name)
        if field is None:
            yield f"{name}: the envelope lacks it"
        elif _in_envelope(schema.resolve(field.type)) != wanted:
            yield f"{name}: the envelope has {wanted} here"
    for name in by_name:
        if name not in _ENVELOPE:
            yield f"{name}: only the envelope belongs at the top; what is not in data is not delivered"


def _in_envelope(node: Resolved) -> str | None:
    """Return what the envelope calls a type; None if it has no field of it."""
    match node:
        case RecordNode():
            return _RECORD
        case Primitive(kind="string"):
            return _TEXT
        case Primitive(kind="long", logical=Logical(name="timestamp-micros")):
            return _INSTANT
        case _:
            return None


def _of_type(schema: AvroSchema, node: AvroType, at: str) -> Iterator[str]:
    if isinstance(node, RecordNode):
        for field in node.fields:
            yield from _of_field(schema, field, joined(at, field.name))
    if isinstance(node, Primitive | Fixed) and node.ignored is not None:
        yield f"{at}: the logical type {node.ignored!a} is not valid here and would be ignored"
    if isinstance(node, Primitive) and node.as_text and not _is_plain_long(node):
        yield f'{at}: "json": "string" is for longs without a logical type'


def _of_field(schema: AvroSchema, field: FieldNode, at: str) -> Iterator[str]:
    if not field.doc.strip():
        yield f"{at}: it has no doc"
    if field.as_text and not any(map(_is_plain_long, schema.singles(field.type))):
        yield f'{at}: "json": "string" is for longs without a logical type'
    if field.has_default:
        try:
            Defaults(schema, lambda _, __, value: value, unchanged=True).filling(field)
        except NoValue:
            yield (
                f"{at}: its default is no value of its type that a decoder can fill in (of bytes"
                " and fixed none is)"
            )


def _is_plain_long(node: Resolved) -> bool:
    return isinstance(node, Primitive) and node.kind == "long" and node.logical is None
