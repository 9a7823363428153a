"""Rules for the schema of an event type beyond valid Avro.

The rules keep bodies predictable (the envelope, logical types that are valid for their type,
`"json": "string"` only where it has an effect), readable (a doc on every field), resolvable (one
full name for all versions of a type) and decodable (defaults that a decoder can fill in).
"""

import re
from collections.abc import Iterator
from typing import Final

from hookstream.core.avro.nodes import (
    Array,
    AvroSchema,
    AvroType,
    Enum,
    FieldNode,
    Fixed,
    Logical,
    Map,
    Primitive,
    RecordNode,
    Reference,
    Resolved,
    Union,
)
from hookstream.core.avro.reader import SchemaRefused, read_schema
from hookstream.core.catalog.filling import is_value
from hookstream.core.catalog.growth import too_much
from hookstream.core.model.json import Json

MAX_VERSION: Final = 9999
_EVENT_TYPE = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)+\Z")
_MAX_EVENT_TYPE = 200
_TEXT: Final = "text (a string)"
_ENVELOPE: Final = {
    "event_id": _TEXT,
    "occurred_at": "a long with the logical type timestamp-micros",
    "entity_id": _TEXT,
    "environment": _TEXT,
    "data": "a record",
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
        *_Walk(read).fields(read.root, ""),
        *too_much(read),
    ]


class FullNames:
    """Checks the full names of all types and versions, one schema after the other.

    Avro resolves records by name: all versions of a type share one full name, two types never do.
    """

    __slots__ = ("_name_of", "_said", "_type_of")

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
    if not isinstance(event_type, str) or not _EVENT_TYPE.match(event_type):
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
        elif not _is_envelope(name, schema.resolve(field.type)):
            yield f"{name}: the envelope has {wanted} here"
    for name in by_name:
        if name not in _ENVELOPE:
            yield f"{name}: only the envelope belongs at the top; what is not in data is not delivered"


def _is_envelope(name: str, node: Resolved) -> bool:
    match node:
        case RecordNode():
            return name == "data"
        case Primitive(kind="string"):
            return name not in ("data", "occurred_at")
        case Primitive(kind="long", logical=Logical(name="timestamp-micros")):
            return name == "occurred_at"
        case _:
            return False


class _Walk:
    """Checks every field of a schema, each record once."""

    __slots__ = ("_schema", "_seen")

    def __init__(self, schema: AvroSchema) -> None:
        self._schema = schema
        self._seen: set[str] = set()

    def fields(self, record: RecordNode, at: str) -> Iterator[str]:
        if record.name in self._seen:
            return
        self._seen.add(record.name)
        for field in record.fields:
            path = f"{at}.{field.name}" if at else field.name
            if not field.doc.strip():
                yield f"{path}: it has no doc"
            if field.as_text and not self._has_plain_long(field.type):
                yield f'{path}: "json": "string" is for longs without a logical type'
            if field.has_default:
                yield from self._default(field, path)
            yield from self._type(field.type, path)

    def _type(self, node: AvroType, at: str) -> Iterator[str]:
        match node:
            case Primitive() | Fixed():
                yield from _attributes(node, at)
            case RecordNode():
                yield from self.fields(node, at)
            case Array(items=inner):
                yield from self._type(inner, f"{at}[]")
            case Map(values=inner):
                yield from self._type(inner, f"{at}{{}}")
            case Union(branches=branches):
                for branch in branches:
                    yield from self._type(branch, at)
            case Enum() | Reference():
                return

    def _has_plain_long(self, node: AvroType) -> bool:
        match node:
            case Primitive(kind=kind, logical=logical):
                return kind == "long" and logical is None
            case Array(items=inner) | Map(values=inner):
                return self._has_plain_long(inner)
            case Union(branches=branches):
                return any(map(self._has_plain_long, branches))
            case RecordNode() | Enum() | Fixed() | Reference():
                return False

    def _default(self, field: FieldNode, at: str) -> Iterator[str]:
        """Check a default: a decoder passes it on unchanged, so it must equal a decoded value."""
        node = self._schema.resolve(field.type)
        branches = node.branches if isinstance(node, Union) else (node,)
        if not any(self._fits(field.default, branch) for branch in branches):
            yield (
                f"{at}: its default is no value of its type that a decoder can fill in (of bytes "
                "and fixed none is)"
            )

    def _fits(self, value: Json, node: AvroType) -> bool:
        match self._schema.resolve(node):
            case Primitive(kind=kind):
                return kind != "bytes" and is_value(value, kind)
            case Enum(symbols=symbols):
                return value in symbols
            case Array(items=inner):
                return isinstance(value, list) and all(self._fits(item, inner) for item in value)
            case Map(values=inner):
                return isinstance(value, dict) and all(
                    self._fits(item, inner) for item in value.values()
                )
            case RecordNode(fields=fields):
                # A decoder does not fill in the defaults of a default's own fields.
                return isinstance(value, dict) and all(
                    field.name in value and self._fits(value[field.name], field.type)
                    for field in fields
                )
            case Union(branches=branches):
                return any(self._fits(value, branch) for branch in branches)
            case Fixed():
                return False


def _attributes(node: Primitive | Fixed, at: str) -> Iterator[str]:
    if node.ignored is not None:
        yield f"{at}: the logical type {node.ignored!a} is not valid here and would be ignored"
    if isinstance(node, Primitive) and node.as_text and (node.kind != "long" or node.logical):
        yield f'{at}: "json": "string" is for longs without a logical type'
