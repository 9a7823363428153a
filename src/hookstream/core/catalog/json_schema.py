"""The JSON Schema (2020-12) of an event's bodies, alone or in batches, compiled from its Avro schema.

It says of each field what `core.avro.values` writes for it, and no more: a revision of the same
version may add fields, so objects are open. A pattern has no look-ahead and no counts above 1,000,
which some engines of regular expressions do not have.
"""

import re
from collections.abc import Mapping
from typing import Final, cast

from hookstream.core.avro.nodes import (
    Array,
    AvroSchema,
    Enum,
    FieldNode,
    Fixed,
    Leaf,
    Logical,
    Map,
    Primitive,
    RecordNode,
    SchemaCompiler,
    Union,
)
from hookstream.core.avro.render import needs_branch_names
from hookstream.core.avro.values import LARGEST_EXACT, NotRenderable
from hookstream.core.model.envelope import MAX_ENVIRONMENT_LENGTH, MAX_ID_LENGTH
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.subscription import MOST_IN_BATCH, BodyFormat, Content

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_MAX_COUNT: Final = 1_000
_SIXTH: Final = "[A-Za-z0-9+/]"
"""A character of base64."""
_ENDS: Final = ("", f"{_SIXTH}[AQgw]==", f"{_SIXTH}{{2}}[AEIMQUYcgkosw048]=")
"""Base64 of the bytes that remain, by their number; the last bits that say nothing are 0."""
_BASE64: Final = f"^(?:{_SIXTH}{{4}})*(?:{_ENDS[1]}|{_ENDS[2]})?$"
_UUID: Final = "^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
_DURATION: Final = r"^P[0-9]{1,10}M[0-9]{1,10}DT[0-9]{1,7}\.[0-9]{3}S$"
_DAY: Final = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK: Final = r"[0-9]{2}:[0-9]{2}:[0-9]{2}\."
_DIGITS: Final = {"millis": 3, "micros": 6, "nanos": 9}


def standard_schema(schema: AvroSchema, content: Content = Content.FULL) -> JsonObject:
    """Return the JSON Schema of the `standard` body of an event type's version.

    Args:
        schema: The schema of the event type, safe by `core.catalog.safety`.
        content: How much of the event the body contains.

    Raises:
        NotRenderable: It is no schema of an event type, or its data cannot be rendered.
    """
    root, data = _parts(schema)
    fields = {field.name: field for field in root.fields}
    identity: JsonObject = {
        "type": {"const": root.attributes["eventType"]},
        "version": {"const": root.attributes["eventVersion"]},
        "timestamp": _described(_instant("micros"), fields["occurred_at"]),
        "id": _described(_text(MAX_ID_LENGTH), fields["event_id"]),
        "environment": _described(_text(MAX_ENVIRONMENT_LENGTH), fields["environment"]),
        "entity_id": _described(_text(MAX_ID_LENGTH), fields["entity_id"]),
    }
    return _document(root, data, identity, fields["data"] if content is Content.FULL else None)


def cloudevents_schema(schema: AvroSchema, content: Content = Content.FULL) -> JsonObject:
    """Return the JSON Schema of the body as a CloudEvent in structured mode.

    Args:
        schema: As for `standard_schema`.
        content: As for `standard_schema`.

    Raises:
        NotRenderable: As `standard_schema`.
    """
    root, data = _parts(schema)
    event_type = cast("str", root.attributes["eventType"])
    fields = {field.name: field for field in root.fields}
    is_full = content is Content.FULL
    identity: JsonObject = {
        "specversion": {"const": "1.0"},
        "id": _described(_text(MAX_ID_LENGTH), fields["event_id"]),
        "source": {"type": "string", "pattern": f"^/.+/{re.escape(event_type)}$"},
        "type": {"const": event_type},
        "subject": _described(_text(MAX_ID_LENGTH), fields["entity_id"]),
        "time": _described(_instant("micros"), fields["occurred_at"]),
        **({"datacontenttype": {"const": "application/json"}} if is_full else {}),
        "environment": _described(_text(MAX_ENVIRONMENT_LENGTH), fields["environment"]),
        "dataversion": {"const": root.attributes["eventVersion"]},
    }
    return _document(root, data, identity, fields["data"] if is_full else None)


def batch_schema(event: JsonObject, body_format: BodyFormat) -> JsonObject:
    """Return the JSON Schema of a batch in which every event is of one version of one type.

    Args:
        event: The JSON Schema of the event's body in that format.
        body_format: `standard` or `cloudevents`.
    """
    outside = {"$schema": DIALECT, "title": f"batch of {event['title']}"}
    named = {"$defs": event["$defs"]} if "$defs" in event else {}
    item: JsonObject = {
        name: value for name, value in event.items() if name not in ("$schema", "$defs")
    }
    events: JsonObject = {
        "type": "array",
        "minItems": 1,
        "maxItems": MOST_IN_BATCH,
        "items": item,
    }
    if body_format is BodyFormat.CLOUDEVENTS:
        return {**outside, **events, **named}
    properties: JsonObject = {"type": {"const": "hookstream.batch"}, "events": events}
    return {
        **outside,
        "type": "object",
        "required": [*properties],
        "properties": properties,
        **named,
    }


def _parts(schema: AvroSchema) -> tuple[RecordNode, "_JsonSchemaCompiler"]:
    """Return the record of an event type, and the compiler of its data."""
    root = schema.root
    names = {field.name for field in root.fields} if isinstance(root, RecordNode) else set()
    if (
        not isinstance(root, RecordNode)
        or not {"event_id", "occurred_at", "entity_id", "environment", "data"} <= names
    ):
        raise NotRenderable("", "is no event type: it lacks the envelope")
    data = next(field.type for field in root.fields if field.name == "data")
    # Whatever cannot be rendered has no JSON form to describe.
    needs_branch_names(AvroSchema(data, schema.named))
    return root, _JsonSchemaCompiler(schema)


def _document(
    root: RecordNode,
    compiler: "_JsonSchemaCompiler",
    identity: Mapping[str, Json],
    data: FieldNode | None,
) -> JsonObject:
    """Return the document of a body; `data` is None where the body has none."""
    described = {} if data is None else {"data": _described(compiler.make(data.type), data)}
    properties = {**identity, **described}
    event_type, version = root.attributes["eventType"], root.attributes["eventVersion"]
    return {
        "$schema": DIALECT,
        "title": f"{event_type} v{version}",
        **({"description": root.doc} if root.doc else {}),
        "type": "object",
        "required": [*properties],
        "properties": properties,
        **({"$defs": dict(sorted(compiler.definitions.items()))} if described else {}),
    }


class _JsonSchemaCompiler(SchemaCompiler[JsonObject]):
    """Compiles each type; a named type is defined once, and referred to by its full name."""

    def __init__(self, schema: AvroSchema) -> None:
        super().__init__(schema)
        self.definitions: JsonObject = {}

    def leaf(self, node: Leaf) -> JsonObject:
        match node:
            case Enum():
                return self._defined(node.name, {"type": "string", "enum": [*node.symbols]})
            case Fixed():
                return self._defined(node.name, _bytes(node.logical, node.size))
            case Primitive():
                return _primitive(node)

    def array(self, node: Array) -> JsonObject:
        return {"type": "array", "items": self.make(node.items)}

    def map(self, node: Map) -> JsonObject:
        return {"type": "object", "additionalProperties": self.make(node.values)}

    def union(self, node: Union) -> JsonObject:
        branches: list[JsonObject] = []
        for branch in node.branches:
            made = self.make(branch)
            if made not in branches:
                branches.append(made)
        if len(branches) == 1:
            return branches[0]
        null: JsonObject = {"type": "null"}
        rest = [branch for branch in branches if branch != null]
        if len(rest) == 1 and isinstance(rest[0].get("type"), str):
            # Every other keyword of such a branch holds for values of its own type alone.
            return {**rest[0], "type": [rest[0]["type"], "null"]}
        return {"anyOf": [*branches]}

    def record(self, node: RecordNode) -> JsonObject:
        properties: JsonObject = {
            field.name: _described(self.make(field.type), field) for field in node.fields
        }
        shape: JsonObject = {"description": node.doc} if node.doc else {}
        shape |= {
            "type": "object",
            "required": [field.name for field in node.fields],
            "properties": properties,
        }
        return self._defined(node.name, shape)

    def _defined(self, name: str, shape: JsonObject) -> JsonObject:
        self.definitions[name] = shape
        return {"$ref": f"#/$defs/{name}"}


def _described(shape: JsonObject, field: FieldNode) -> JsonObject:
    """Return the shape of a field's values with its documentation."""
    doc: JsonObject = {"description": field.doc} if field.doc else {}
    given = field.examples
    examples: JsonObject = {"examples": given} if isinstance(given, list) and given else {}
    return {**doc, **shape, **examples}


def _primitive(node: Primitive) -> JsonObject:
    if node.kind == "bytes":
        return _bytes(node.logical, None)
    if node.logical is not None:
        return _logical(node.logical.name)
    if node.kind == "long" and node.as_text:
        return {"type": "string", "pattern": "^(?:0|-?[1-9][0-9]{0,18})$"}
    return dict(_PLAIN[node.kind])


def _logical(name: str) -> JsonObject:
    kind, _, unit = name.rpartition("-")
    match kind or name:
        case "uuid":
            # A writer may have put any text there, and it is delivered as it is.
            return {"type": "string", "format": "uuid"}
        case "date":
            return {"type": "string", "format": "date", "pattern": f"^{_DAY}$"}
        case "time":
            # The format `time` of JSON Schema has an offset, which a time of day lacks.
            return {"type": "string", "pattern": f"^{_CLOCK}[0-9]{{{_DIGITS[unit]}}}$"}
        case "local-timestamp":
            return {"type": "string", "pattern": f"^{_DAY}T{_CLOCK}[0-9]{{{_DIGITS[unit]}}}$"}
        case _:
            return _instant(unit)


def _instant(unit: str) -> JsonObject:
    pattern = f"^{_DAY}T{_CLOCK}[0-9]{{{_DIGITS[unit]}}}Z$"
    return {"type": "string", "format": "date-time", "pattern": pattern}


def _bytes(logical: Logical | None, size: int | None) -> JsonObject:
    match logical:
        case Logical(name="decimal", precision=precision, scale=scale):
            return _decimal(precision, scale)
        case Logical(name="uuid"):
            return {"type": "string", "format": "uuid", "pattern": _UUID}
        case Logical():
            return {"type": "string", "pattern": _DURATION}
        case None:
            shape: JsonObject = {"type": "string", "contentEncoding": "base64"}
            return shape | ({"pattern": _BASE64} if size is None else _sized(size))


def _sized(size: int) -> JsonObject:
    """Return the keywords of so many bytes as base64."""
    whole = size // 3 * 4
    length = whole + 4 * bool(size % 3)
    count = f"{{{whole}}}" if whole <= _MAX_COUNT else "*"
    pattern = f"^{_SIXTH}{count}{_ENDS[size % 3]}$"
    return {"pattern": pattern, "minLength": length, "maxLength": length}


def _decimal(precision: int, scale: int) -> JsonObject:
    whole = f"(?:0|[1-9]{_digits(0, precision - scale - 1)})" if precision > scale else "0"
    fraction = rf"\.{_digits(scale, scale)}" if scale else ""
    # A sign, at least one digit before the point, and the point.
    longest = 1 + max(precision - scale, 1) + (scale + 1 if scale else 0)
    bound: JsonObject = {"maxLength": longest} if precision > _MAX_COUNT else {}
    return {"type": "string", "pattern": f"^-?{whole}{fraction}$", **bound}


def _digits(least: int, most: int) -> str:
    if most > _MAX_COUNT:
        return "[0-9]+" if least else "[0-9]*"
    return f"[0-9]{{{least}}}" if least == most else f"[0-9]{{{least},{most}}}"


def _text(longest: int) -> JsonObject:
    return {"type": "string", "minLength": 1, "maxLength": longest}


_PLAIN: Final[Mapping[str, JsonObject]] = {
    "null": {"type": "null"},
    "boolean": {"type": "boolean"},
    "int": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    "long": {"type": "integer", "minimum": -LARGEST_EXACT, "maximum": LARGEST_EXACT},
    "float": {"type": "number"},
    "double": {"type": "number"},
    "string": {"type": "string"},
}
