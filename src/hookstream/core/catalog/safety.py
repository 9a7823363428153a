"""Checks, before its first use, whether a schema could harm the process that decodes with it.

A decoder follows a schema blindly. A recursive type lets a few kilobytes nest deep enough to end
the process; an array whose items take no bytes lets five bytes become twenty million items; types
that contain each other twice, level after level, make one empty record huge. All of these are
refused, regardless of who wrote the schema.
"""

from typing import Final

from hookstream.core.avro.nodes import (
    Array,
    AvroSchema,
    AvroType,
    Enum,
    Fixed,
    Map,
    Primitive,
    RecordNode,
    Reference,
    Union,
)
from hookstream.core.avro.reader import SchemaRefused, read_schema
from hookstream.core.model.json import Json

MAX_DEPTH: Final = 32
"""Levels of nested types; each named type counts wherever it is used."""
MAX_PARTS: Final = 10_000
"""Types in a schema; each named type counts wherever it is used."""


def hostile(schema: Json) -> list[str]:
    """Return why a schema must not be used, one sentence each; empty if it is safe.

    Malformed schemas and those beyond the bounds of `core.avro.reader` are unsafe too.
    """
    try:
        read = read_schema(schema)
    except SchemaRefused as refused:
        return [str(refused)]
    loop = _loop(read)
    if loop is not None:
        return [f"the type {loop} holds itself, so a record could nest without end"]
    return _Measure(read).problems()


def _loop(schema: AvroSchema) -> str | None:
    """Return the name of a type that contains itself, or None."""
    open_names: set[str] = set()
    closed: set[str] = set()

    def visit(node: AvroType) -> str | None:
        if isinstance(node, Reference) and node.name in open_names:
            return node.name
        resolved = schema.resolve(node)
        name = resolved.name if isinstance(resolved, RecordNode) else ""
        if name in closed:
            return None
        open_names.add(name)
        found = next(filter(None, map(visit, parts(resolved))), None)
        if name:
            open_names.discard(name)
            closed.add(name)
        return found

    return visit(schema.root)


def parts(node: AvroType) -> tuple[AvroType, ...]:
    """Return the direct parts of a type; references are not followed."""
    match node:
        case RecordNode(fields=fields):
            return tuple(field.type for field in fields)
        case Array(items=items):
            return (items,)
        case Map(values=values):
            return (values,)
        case Union(branches=branches):
            return branches
        case Primitive() | Enum() | Fixed() | Reference():
            return ()


class _Measure:
    """Measures the types of a non-recursive schema, each named type once."""

    __slots__ = ("_depths", "_empty", "_schema", "_sizes", "_zero_byte")

    def __init__(self, schema: AvroSchema) -> None:
        self._schema = schema
        self._sizes: dict[str, int] = {}
        self._depths: dict[str, int] = {}
        self._empty: dict[str, bool] = {}
        self._zero_byte: list[str] = []

    def problems(self) -> list[str]:
        root = self._schema.root
        found = []
        size, depth = self._measure(root)
        if depth > MAX_DEPTH:
            found.append(f"its types are nested {depth} deep; at most {MAX_DEPTH} are allowed")
        if size > MAX_PARTS:
            found.append(f"written out, it has more than {MAX_PARTS} types")
        self._find_empty_items(root, "", set())
        return found + self._zero_byte

    def _measure(self, node: AvroType) -> tuple[int, int]:
        """Return the number of types in it, and their depth."""
        resolved = self._schema.resolve(node)
        name = resolved.name if isinstance(resolved, RecordNode) else None
        if name is not None and name in self._sizes:
            return self._sizes[name], self._depths[name]
        size, depth = 1, 1
        for part in parts(resolved):
            inner_size, inner_depth = self._measure(part)
            size, depth = size + inner_size, max(depth, inner_depth + 1)
        if name is not None:
            self._sizes[name], self._depths[name] = size, depth
        return size, depth

    def _find_empty_items(self, node: AvroType, where: str, seen: set[str]) -> None:
        resolved = self._schema.resolve(node)
        if isinstance(resolved, RecordNode):
            if resolved.name in seen:
                return
            seen.add(resolved.name)
            for field in resolved.fields:
                at = f"{where}.{field.name}" if where else field.name
                self._find_empty_items(field.type, at, seen)
            return
        # A map's item is preceded by its key's length, yet nothing is lost by refusing it too.
        if isinstance(resolved, Array | Map):
            item = resolved.items if isinstance(resolved, Array) else resolved.values
            if self._takes_no_bytes(item):
                self._zero_byte.append(
                    f"the items of {where or 'the schema'} take no bytes, so a few bytes could "
                    "become millions of them"
                )
        for part in parts(resolved):
            self._find_empty_items(part, where, seen)

    def _takes_no_bytes(self, node: AvroType) -> bool:
        resolved = self._schema.resolve(node)
        match resolved:
            case Primitive(kind=kind):
                return kind == "null"
            case Fixed(size=size):
                return size == 0
            case RecordNode(name=name, fields=fields):
                if name not in self._empty:
                    self._empty[name] = all(self._takes_no_bytes(f.type) for f in fields)
                return self._empty[name]
            case Array() | Map() | Union() | Enum():
                return False
