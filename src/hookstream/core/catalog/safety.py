"""Checks, before its first use, whether a schema could harm the process that decodes with it.

A decoder follows a schema blindly. A recursive type lets a few kilobytes nest deep enough to end
the process; an array whose items take no bytes lets five bytes become twenty million items; types
that contain each other twice, level after level, make one empty record huge. All of these are
refused, regardless of who wrote the schema.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from hookstream.core.avro.nodes import (
    Array,
    AvroSchema,
    AvroType,
    Fixed,
    Map,
    Primitive,
    RecordNode,
    parts,
    walk,
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
    found = safe_schema(schema)
    return found if isinstance(found, list) else []


def safe_schema(schema: Json) -> AvroSchema | list[str]:
    """Return a schema, read, if it is safe; otherwise why it is not, as `hostile`."""
    try:
        read = read_schema(schema)
    except SchemaRefused as refused:
        return [str(refused)]
    if read.loop is not None:
        return [f"the type {read.loop} contains itself, so a record could nest without end"]
    return list(_problems(read)) or read


def _problems(schema: AvroSchema) -> Iterator[str]:
    """Yield why a non-recursive schema must not be used."""
    sizes = _Sizes(schema)
    whole = sizes.of(schema.root)
    if whole.depth > MAX_DEPTH:
        yield f"its types are nested {whole.depth} deep; at most {MAX_DEPTH} are allowed"
    if whole.types > MAX_PARTS:
        yield f"written out, it has more than {MAX_PARTS} types"
    for at, node in walk(schema.root):
        # A map's item is preceded by its key's length, yet nothing is lost by refusing it too.
        if isinstance(node, Array | Map) and any(
            sizes.of(item).is_empty for _, item in parts(node)
        ):
            yield (
                f"the items of {at or 'the schema'} take no bytes, so a few bytes could become"
                " millions of them"
            )


class _Size(NamedTuple):
    """The size of a type that is written out."""

    types: int
    """The number of types in it, including itself."""
    depth: int
    is_empty: bool
    """Whether its values take no bytes."""


class _Sizes:
    """The sizes of the types of a non-recursive schema, each record measured once."""

    def __init__(self, schema: AvroSchema) -> None:
        self._schema = schema
        self._known: dict[str, _Size] = {}

    def of(self, node: AvroType) -> _Size:
        resolved = self._schema.resolve(node)
        if isinstance(resolved, RecordNode) and resolved.name in self._known:
            return self._known[resolved.name]
        inner = [self.of(part) for _, part in parts(resolved)]
        types = 1 + sum(size.types for size in inner)
        depth = 1 + max((size.depth for size in inner), default=0)
        match resolved:
            case RecordNode(name=name):
                self._known[name] = _Size(types, depth, all(size.is_empty for size in inner))
                return self._known[name]
            case Primitive(kind="null") | Fixed(size=0):
                return _Size(types, depth, is_empty=True)
            case _:
                return _Size(types, depth, is_empty=False)
