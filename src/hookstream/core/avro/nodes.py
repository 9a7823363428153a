"""An Avro schema as typed nodes, whose named types are found by their full names.

`core.model.avro_reading` makes them from plain JSON.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from hookstream.core.model.json import Json

SINGLE = "hookstream.Single"
"""The record as which a `float` is read where its union has a `double` too."""
SINGLE_VALUE = "value"
"""Its field."""


def branch_key(number: int) -> str:
    """Return what names a branch of a union where each is read as a record of one field."""
    return f"b{number}"


@dataclass(slots=True, frozen=True)
class Logical:
    """A valid logical type; precision and scale belong to decimals, 0 elsewhere."""

    name: str
    precision: int = 0
    scale: int = 0

    def __str__(self) -> str:
        """Return it as a person writes it."""
        if self.name == "decimal":
            return f"decimal({self.precision},{self.scale})"
        return self.name


@dataclass(slots=True, frozen=True)
class Primitive:
    """A type without parts."""

    kind: str
    logical: Logical | None = None
    ignored: str | None = None
    """A logical type that is not valid here."""
    as_text: bool = False
    """It says `"json": "string"`."""


@dataclass(slots=True, frozen=True)
class Array:
    """A list of items."""

    items: "AvroType"


@dataclass(slots=True, frozen=True)
class Map:
    """Values by text keys."""

    values: "AvroType"


@dataclass(slots=True, frozen=True)
class Union:
    """One of several types."""

    branches: "tuple[AvroType, ...]"


@dataclass(slots=True, frozen=True)
class Fixed:
    """So many bytes."""

    name: str
    aliases: tuple[str, ...]
    size: int
    logical: Logical | None = None
    ignored: str | None = None


@dataclass(slots=True, frozen=True)
class Enum:
    """One of several words."""

    name: str
    aliases: tuple[str, ...]
    symbols: tuple[str, ...]
    default: str | None = None


@dataclass(slots=True, frozen=True)
class FieldNode:
    """A field of a record."""

    name: str
    type: "AvroType"
    aliases: tuple[str, ...] = ()
    doc: str = ""
    has_default: bool = False
    default: Json = None
    as_text: bool = False
    """It says `"json": "string"`: the longs in it are written as text."""


@dataclass(slots=True, frozen=True)
class RecordNode:
    """Named fields in order."""

    name: str
    aliases: tuple[str, ...]
    fields: tuple[FieldNode, ...]
    attributes: Mapping[str, Json]
    """Everything else that its JSON says, `eventType` for one."""


@dataclass(slots=True, frozen=True)
class Reference:
    """A named type that is defined elsewhere in the schema."""

    name: str


Named: TypeAlias = RecordNode | Enum | Fixed
AvroType: TypeAlias = Primitive | Array | Map | Union | Fixed | Enum | RecordNode | Reference
Resolved: TypeAlias = Primitive | Array | Map | Union | Fixed | Enum | RecordNode


@dataclass(slots=True, frozen=True)
class AvroSchema:
    """A whole schema. It may be recursive: then `resolve` leads round and round."""

    root: AvroType
    named: Mapping[str, Named]
    """Every named type by its full name."""

    def resolve(self, node: AvroType) -> Resolved:
        """Return the type itself, or the one that a reference names."""
        return self.named[node.name] if isinstance(node, Reference) else node


def say(node: Resolved) -> str:
    """Return a type in few words."""
    match node:
        case Primitive(kind=kind, logical=logical):
            return kind if logical is None else f"{kind} {logical}"
        case Array():
            return "an array"
        case Map():
            return "a map"
        case Union():
            return "a union"
        case Enum(name=name) | Fixed(name=name) | RecordNode(name=name):
            return name
