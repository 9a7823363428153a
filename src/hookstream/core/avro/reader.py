"""Parses an Avro schema from untrusted plain JSON.

Size and depth are checked before anything recurses into the document. A logical type that is not
valid for its type is left out of the node, as Avro demands (Apache Avro 1.12, "Logical Types"), and
kept in `ignored` so that a check can report it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
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
    Named,
    Primitive,
    RecordNode,
    Reference,
    Union,
    type_name,
)
from hookstream.core.model.json import Json, JsonObject
from hookstream.errors import InputRefused

MAX_NESTING: Final = 100
"""Levels of JSON objects and lists in a schema's text."""
MAX_NODES: Final = 50_000
"""JSON values in a schema."""
MAX_CHARACTERS: Final = 512 * 1024
"""Characters of all names and texts in a schema: it must fit into a record of the schemas table."""

MAX_PRECISION: Final = 4000
"""Digits of a decimal: Python formats no whole number of more than 4,300."""

PRIMITIVES: Final = frozenset(
    {"null", "boolean", "int", "long", "float", "double", "bytes", "string"}
)
_LOGICAL_ON: Final[Mapping[str, frozenset[str]]] = {
    "int": frozenset({"date", "time-millis"}),
    "long": frozenset(
        {
            "time-micros",
            "timestamp-millis",
            "timestamp-micros",
            "timestamp-nanos",
            "local-timestamp-millis",
            "local-timestamp-micros",
            "local-timestamp-nanos",
        }
    ),
    "string": frozenset({"uuid"}),
}
_SIZES: Final = {"uuid": 16, "duration": 12}
"""Bytes of the fixed types that have these logical types."""
_WIDEST: Final = 2_000
"""Bytes into which every decimal fits: more than enough for `MAX_PRECISION` digits."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}\Z")
_SHOWN = 60
_RECORD_WORDS = frozenset({"type", "name", "namespace", "aliases", "fields", "doc"})


class SchemaRefused(InputRefused):
    """Raised if JSON is not an Avro schema, or exceeds a limit; the message names place and reason."""


def read_schema(document: Json) -> AvroSchema:
    """Parse a schema.

    Raises:
        SchemaRefused: It is malformed, uses a type before its definition, or is too large; the
            message names the place.
    """
    check_size(document)
    reader = _Reader()
    return AvroSchema(reader.type(document, "", "the schema"), reader.named, reader.loop)


def check_size(document: Json) -> None:
    """Refuse a schema that is too large or too deep, without recursing into it.

    Raises:
        SchemaRefused: It has more levels, values or characters than the bounds above.
    """
    nodes = characters = 0
    pending: list[tuple[Json, int]] = [(document, 1)]
    while pending:
        value, depth = pending.pop()
        nodes += 1
        if isinstance(value, str):
            characters += len(value)
        elif isinstance(value, dict):
            characters += sum(map(len, value))
            pending.extend((item, depth + 1) for item in value.values())
        elif isinstance(value, list):
            pending.extend((item, depth + 1) for item in value)
        if depth > MAX_NESTING:
            raise SchemaRefused(f"the schema is nested deeper than {MAX_NESTING} levels")
        if nodes > MAX_NODES or characters > MAX_CHARACTERS:
            raise SchemaRefused(
                f"the schema has more than {MAX_NODES} values or {MAX_CHARACTERS} characters"
            )


class _Reader:
    """Parses one schema; a name can be used after its definition only."""

    def __init__(self) -> None:
        self.named: dict[str, Named] = {}
        self.loop: str | None = None
        self._open: set[str] = set()

    def type(
        self, document: Json, namespace: str, where: str, *, as_text: bool = False
    ) -> AvroType:
        """Parse a type; `as_text`: its field has `"json": "string"`."""
        match document:
            case str() if document in PRIMITIVES:
                return _primitive(document, {}, as_text=as_text)
            case str():
                return self._reference(document, namespace, where)
            case list():
                return self._union(document, namespace, where, as_text=as_text)
            case dict():
                return self._object(document, namespace, where, as_text=as_text)
            case _:
                raise SchemaRefused(f"{where}: {_shown(document)} is no type")

    def _object(
        self, document: JsonObject, namespace: str, where: str, *, as_text: bool
    ) -> AvroType:
        kind = document.get("type")
        match kind:
            case str() if kind in _NAMED:
                made = _NAMED[kind](self, document, namespace, where)
                self.named[made.name] = made
                return made
            case "array":
                items = document.get("items")
                return Array(self.type(items, namespace, f"{where}[]", as_text=as_text))
            case "map":
                values = document.get("values")
                return Map(self.type(values, namespace, f"{where}{{}}", as_text=as_text))
            case str() if kind in PRIMITIVES:
                return _primitive(kind, document, as_text=as_text)
            case str() | list() | dict():
                # An object that wraps another type, as tools write it for their own attributes.
                return self.type(kind, namespace, where, as_text=as_text)
            case _:
                raise SchemaRefused(f"{where}: {_shown(kind)} is no type")

    def _reference(self, name: str, namespace: str, where: str) -> Reference:
        full = _full(name, namespace)
        if full not in self.named and full not in self._open:
            raise SchemaRefused(f"{where}: {_shown(full)} is defined nowhere before it")
        if full in self._open:
            self.loop = self.loop or full
        return Reference(full)

    def _union(
        self, document: Sequence[Json], namespace: str, where: str, *, as_text: bool
    ) -> Union:
        branches = tuple(
            self.type(branch, namespace, where, as_text=as_text) for branch in document
        )
        if any(isinstance(branch, Union) for branch in branches):
            raise SchemaRefused(f"{where}: a union is nested directly in a union")
        # No named type has the full name of a primitive type, nor `array` or `map`.
        names = {(isinstance(branch, _NAMED_NODES), type_name(branch)) for branch in branches}
        if not names or len(names) < len(branches):
            raise SchemaRefused(f"{where}: a union has different branches, at least one")
        return Union(branches)

    def _define(
        self, document: JsonObject, namespace: str, where: str
    ) -> tuple[str, tuple[str, ...], str]:
        """Return the full name of a type being defined, its aliases and its namespace."""
        name, own = document.get("name"), document.get("namespace", namespace)
        if not isinstance(name, str) or not isinstance(own, str):
            raise SchemaRefused(f"{where}: a {_shown(document.get('type'))} has no name")
        full = _full(name, own)
        if not all(_NAME.match(part) for part in full.split(".")):
            raise SchemaRefused(f"{where}: {_shown(full)} is no name")
        if full in self.named or full in self._open:
            raise SchemaRefused(f"{where}: {full} is defined twice")
        inner = full.rpartition(".")[0]
        aliases = tuple(_full(alias, inner) for alias in _names(document, "aliases", where))
        return full, aliases, inner

    def record(self, document: JsonObject, namespace: str, where: str) -> RecordNode:
        full, aliases, inner = self._define(document, namespace, where)
        parts = document.get("fields")
        if not isinstance(parts, list):
            raise SchemaRefused(f"{where}: the record {full} has no list of fields")
        at = "" if where == "the schema" else f"{where}."
        self._open.add(full)
        fields = tuple(self._field(part, inner, at) for part in parts)
        self._open.discard(full)
        names = [field.name for field in fields]
        if len(set(names)) < len(names):
            raise SchemaRefused(f"{where}: the record {full} has two fields of one name")
        rest = {name: value for name, value in document.items() if name not in _RECORD_WORDS}
        doc = document.get("doc")
        return RecordNode(full, aliases, fields, rest, doc if isinstance(doc, str) else "")

    def _field(self, part: Json, namespace: str, at: str) -> FieldNode:
        if not isinstance(part, dict) or not isinstance(name := part.get("name"), str):
            raise SchemaRefused(f"{at or 'the schema: '}{_shown(part)} is no field")
        if not _NAME.match(name):
            raise SchemaRefused(f"{at}{_shown(name)} is no name of a field")
        doc, as_text = part.get("doc"), part.get("json") == "string"
        return FieldNode(
            name=name,
            type=self.type(part.get("type"), namespace, at + name, as_text=as_text),
            aliases=tuple(_names(part, "aliases", at + name)),
            doc=doc if isinstance(doc, str) else "",
            has_default="default" in part,
            default=part.get("default"),
            as_text=as_text,
            examples=part.get("examples"),
        )

    def enum(self, document: JsonObject, namespace: str, where: str) -> Enum:
        full, aliases, _ = self._define(document, namespace, where)
        symbols = tuple(_names(document, "symbols", where))
        default = document.get("default")
        if not symbols or len(set(symbols)) < len(symbols):
            raise SchemaRefused(f"{where}: the enum {full} has no symbols, or one twice")
        if default is not None and default not in symbols:
            raise SchemaRefused(f"{where}: the default of the enum {full} is none of its symbols")
        return Enum(full, aliases, symbols, default if isinstance(default, str) else None)

    def fixed(self, document: JsonObject, namespace: str, where: str) -> Fixed:
        full, aliases, _ = self._define(document, namespace, where)
        size = document.get("size")
        if type(size) is not int or size < 0:
            raise SchemaRefused(f"{where}: the fixed type {full} has no size")
        logical, ignored = _logical("fixed", document, size)
        return Fixed(full, aliases, size, logical, ignored)


_NAMED: Final[Mapping[str, Callable[[_Reader, JsonObject, str, str], Named]]] = {
    "record": _Reader.record,
    "error": _Reader.record,
    "enum": _Reader.enum,
    "fixed": _Reader.fixed,
}
_NAMED_NODES = (RecordNode, Enum, Fixed, Reference)


def _primitive(kind: str, document: JsonObject, *, as_text: bool) -> Primitive:
    logical, ignored = _logical(kind, document)
    as_text = as_text and kind == "long" and logical is None
    return Primitive(kind, logical, ignored, as_text or document.get("json") == "string")


def _logical(
    kind: str, document: JsonObject, size: int = _WIDEST
) -> tuple[Logical | None, str | None]:
    """Return a type's logical type if it is valid, or else its name; `size` in bytes."""
    name = document.get("logicalType")
    if not isinstance(name, str):
        return None, None
    found: Logical | None = None
    if name == "decimal" and kind in ("bytes", "fixed"):
        found = _decimal(document, size)
    elif name in _LOGICAL_ON.get(kind, ()) or (kind == "fixed" and _SIZES.get(name) == size):
        found = Logical(name)
    return found, None if found else name


def _decimal(document: JsonObject, size: int) -> Logical | None:
    precision, scale = document.get("precision"), document.get("scale", 0)
    if type(precision) is not int or type(scale) is not int:
        return None
    if not 0 <= scale <= precision or not 0 < precision <= MAX_PRECISION:
        return None
    # Avro requires that 10^precision - 1 fits into the signed bytes.
    if 10**precision - 1 >= 2 ** (8 * min(size, _WIDEST) - 1):
        return None
    return Logical("decimal", precision, scale)


def _names(document: JsonObject, word: str, where: str) -> list[str]:
    """Return a list of names."""
    found = document.get(word, [])
    if not isinstance(found, list):
        raise SchemaRefused(f"{where}: {word} is a list of names")
    names = [name for name in found if isinstance(name, str)]
    if len(names) < len(found) or not all(
        _NAME.match(part) for name in names for part in name.split(".")
    ):
        raise SchemaRefused(f"{where}: {word} contains something that is no name")
    return names


def _full(name: str, namespace: str) -> str:
    return f"{namespace}.{name}" if namespace and "." not in name else name


def _shown(value: Json) -> str:
    text = ascii(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
