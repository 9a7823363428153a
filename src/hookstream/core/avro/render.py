"""An event's Avro data become plain JSON, and a field's JSON type never depends on its value.

A schema is compiled once into a function over values as fastavro decodes them with logical types
left raw. What is plain already is handed through untouched, so a record of text and small numbers
costs little more than its range checks; the result must therefore be treated as immutable.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from hookstream.core.avro.unions import names_needed, told_apart, union
from hookstream.core.avro.values import (
    PRIMITIVES,
    NotRenderable,
    Render,
    Rendering,
    fixed,
    out_of_range,
    primitive,
    same,
    timestamp_micros,
)
from hookstream.core.model.event import Event
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.parts import each_item, each_value

__all__ = ["NotRenderable", "compile_value", "needs_branch_names", "standard_document"]

_NAMED = ("record", "error", "enum", "fixed")
_MAX_DEPTH = 64
"""Levels of types within types."""

_Check: TypeAlias = tuple[str, int, int]
_Part: TypeAlias = tuple[str, Render]


@dataclass(slots=True)
class _Walk:
    """What is known on the way through a schema tree."""

    branch_names: bool
    """Values of named types come with their names, wherever they stand in a union."""
    known: dict[str, Rendering] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)
    depth: int = 0
    ambiguous: bool = False
    """Some union needs names."""


def compile_value(schema: Json) -> Callable[[object], Json]:
    """Return the function that renders values of an Avro schema as plain JSON.

    Where `needs_branch_names(schema)` holds, values must be decoded with fastavro's
    `return_named_type=True`; elsewhere without it.

    Args:
        schema: The schema tree; a name may stand for a type that was defined before it.

    Raises:
        NotRenderable: The schema is recursive or malformed, or values of one of its unions cannot
            be told apart. The returned function raises it for a value that JSON cannot hold: a
            long beyond ±(2^53-1) whose schema does not say `"json": "string"`, a number that is
            not finite, a time outside the years 1 to 9999, a decimal of too many digits.
    """
    walk = _Walk(branch_names=needs_branch_names(schema))
    return _compile(schema, "", walk, text=False).render


def needs_branch_names(schema: Json) -> bool:
    """Return whether values must be decoded with the names of their types beside them, in unions.

    So it is where a union holds a named type beside another whose values look alike: two records,
    a record and a map, bytes and a fixed decimal. A `float` beside a `double` must be decoded as the
    record `core.delivery.unions.SINGLE`; where it comes as a bare float it is shown as a double.

    Raises:
        NotRenderable: As `compile_value` does for the schema.
    """
    walk = _Walk(branch_names=True)
    _compile(schema, "", walk, text=False)
    return walk.ambiguous


def standard_document(event: Event, version: int, data: Json) -> JsonObject:
    """Return the `standard` body of an event, its keys in the order in which they are written.

    Args:
        event: The event.
        version: The version of its type that the subscription receives.
        data: Its data at that version, rendered.
    """
    return {
        "type": event.revision.event_type,
        "version": version,
        "timestamp": timestamp_micros(event.occurred_at),
        "id": event.event_id,
        "environment": event.environment,
        "entity_id": event.entity_id,
        "data": data,
    }


def _compile(schema: Json, namespace: str, walk: _Walk, *, text: bool) -> Rendering:
    """Compile one schema; `text`: its field says that a long is to be written as a string."""
    if walk.depth >= _MAX_DEPTH:
        raise NotRenderable("", f"has types nested more than {_MAX_DEPTH} deep")
    walk.depth += 1
    try:
        return _compile_any(schema, namespace, walk, text=text)
    finally:
        walk.depth -= 1


def _compile_any(schema: Json, namespace: str, walk: _Walk, *, text: bool) -> Rendering:
    match schema:
        case str():
            return _by_name(schema, namespace, walk, text=text)
        case list():
            return _union(schema, namespace, walk, text=text)
        case dict():
            return _object(schema, namespace, walk, text=text)
        case _:
            raise NotRenderable("", f"is of {ascii(schema)[:80]}, which is no Avro schema")


def _object(schema: JsonObject, namespace: str, walk: _Walk, *, text: bool) -> Rendering:
    kind, name = schema.get("type"), schema.get("name")
    if kind in _NAMED and isinstance(name, str):
        return _named(schema, _full_name(name, schema.get("namespace"), namespace), walk)
    if kind == "array":
        item = _compile(schema.get("items"), namespace, walk, text=text).render
        return Rendering(same if item is same else each_item(item, NotRenderable), "list")
    if kind == "map":
        item = _compile(schema.get("values"), namespace, walk, text=text).render
        return Rendering(same if item is same else each_value(item, NotRenderable), "dict")
    if isinstance(kind, str) and kind in PRIMITIVES:
        return primitive(schema, text=text or schema.get("json") == "string")
    if kind in _NAMED:
        raise NotRenderable("", f"is of a {kind} without a name")
    # An object around another schema, as tools write it for attributes of their own.
    return _compile(kind, namespace, walk, text=text)


def _by_name(name: str, namespace: str, walk: _Walk, *, text: bool) -> Rendering:
    if name in PRIMITIVES:
        return primitive({"type": name}, text=text)
    full = _full_name(name, None, namespace)
    if full in walk.open:
        raise NotRenderable("", f"is of {full}, which holds itself")
    found = walk.known.get(full)
    if found is None:
        raise NotRenderable("", f"is of {ascii(full)[:80]}, which is defined nowhere before it")
    return found


def _full_name(name: str, own: Json, inherited: str) -> str:
    if "." in name:
        return name
    namespace = own if isinstance(own, str) else inherited
    return f"{namespace}.{name}" if namespace else name


def _named(schema: JsonObject, full: str, walk: _Walk) -> Rendering:
    walk.open.add(full)
    match schema["type"]:
        case "enum":
            found = Rendering(same, "text", full)
        case "fixed":
            found = fixed(schema, full)
        case _:
            render = _record(schema.get("fields"), full.rpartition(".")[0], walk)
            found = Rendering(render, "dict", full)
    walk.open.discard(full)
    walk.known[full] = found
    return found


def _record(fields: Json, namespace: str, walk: _Walk) -> Render:
    if not isinstance(fields, list):
        raise NotRenderable("", "is of a record without fields")
    checks: list[_Check] = []
    parts: list[_Part] = []
    for part in fields:
        if not isinstance(part, dict) or not isinstance(part.get("name"), str):
            raise NotRenderable("", f"has {ascii(part)[:80]}, which is no field")
        name = str(part["name"])
        try:
            found = _compile(part.get("type"), namespace, walk, text=part.get("json") == "string")
        except NotRenderable as problem:
            raise problem.within(name) from None
        if found.bounds is not None:
            checks.append((name, *found.bounds))
        elif found.render is not same:
            parts.append((name, found.render))
    if checks or parts:
        return _record_render(tuple(checks), tuple(parts))
    return same


def _record_render(checks: tuple[_Check, ...], parts: tuple[_Part, ...]) -> Render:
    def render(value: object) -> Json:
        if not isinstance(value, dict):
            raise NotRenderable("", "is not a record")
        for name, lowest, highest in checks:
            if not lowest <= value[name] <= highest:
                raise NotRenderable(name, out_of_range((lowest, highest)))
        if not parts:
            return value
        rendered = value.copy()
        name = ""
        try:
            for name, part in parts:
                rendered[name] = part(value[name])
        except NotRenderable as problem:
            raise problem.within(name) from None
        return rendered

    return render


def _union(schemas: list[Json], namespace: str, walk: _Walk, *, text: bool) -> Rendering:
    branches = told_apart([_compile(schema, namespace, walk, text=text) for schema in schemas])
    if names_needed(branches):
        walk.ambiguous = True
    return union(branches, named=walk.branch_names)
