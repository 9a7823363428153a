"""An Avro schema as typed nodes; named types are looked up by their full names.

`core.avro.reader` parses them from plain JSON. A `SchemaCompiler` builds anything else from the
nodes, a renderer for example.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeAlias, TypeVar

from hookstream.core.model.json import Json
from hookstream.core.model.parts import joined
from hookstream.errors import InvariantBroken

T = TypeVar("T")

SINGLE = "hookstream.Single"
"""Fixed type of four bytes as which a `float` is read if its union has a `double` too."""


def branch_key(number: int) -> str:
    """Return the field name of a union's branch when each branch is read as a record of one field."""
    return f"b{number}"


@dataclass(slots=True, frozen=True)
class Logical:
    """A valid logical type; precision and scale belong to decimals, 0 elsewhere."""

    name: str
    precision: int = 0
    scale: int = 0

    def __str__(self) -> str:
        """Return it in readable form, for messages."""
        if self.name == "decimal":
            return f"decimal({self.precision},{self.scale})"
        return self.name


@dataclass(slots=True, frozen=True)
class Primitive:
    """A type without parts."""

    kind: str
    logical: Logical | None = None
    ignored: str | None = None
    """A logical type that is not valid for this type."""
    as_text: bool = False
    """It has `"json": "string"`, or is a plain long in a field that has it."""


@dataclass(slots=True, frozen=True)
class Array:
    """A list of items."""

    name: ClassVar[str] = "array"
    items: "AvroType"


@dataclass(slots=True, frozen=True)
class Map:
    """Values by text keys."""

    name: ClassVar[str] = "map"
    values: "AvroType"


@dataclass(slots=True, frozen=True)
class Union:
    """One of several types."""

    name: ClassVar[str] = "union"
    branches: "tuple[AvroType, ...]"


@dataclass(slots=True, frozen=True)
class Fixed:
    """A fixed number of bytes."""

    name: str
    aliases: tuple[str, ...]
    size: int
    logical: Logical | None = None
    ignored: str | None = None


@dataclass(slots=True, frozen=True)
class Enum:
    """One of several symbols."""

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
    """It has `"json": "string"`, which applies to the plain longs in its type too."""
    examples: Json = None
    """Its attribute `examples`: a list of values as they are delivered, or anything else, unchecked."""


@dataclass(slots=True, frozen=True)
class RecordNode:
    """Named fields in order."""

    name: str
    aliases: tuple[str, ...]
    fields: tuple[FieldNode, ...]
    attributes: Mapping[str, Json]
    """All other keys of its JSON, such as `eventType`."""
    doc: str = ""


@dataclass(slots=True, frozen=True)
class Reference:
    """A named type that is defined elsewhere in the schema."""

    name: str


Named: TypeAlias = RecordNode | Enum | Fixed
Leaf: TypeAlias = Primitive | Enum | Fixed
AvroType: TypeAlias = Primitive | Array | Map | Union | Fixed | Enum | RecordNode | Reference
Resolved: TypeAlias = Primitive | Array | Map | Union | Fixed | Enum | RecordNode


@dataclass(slots=True, frozen=True, eq=False)
class AvroSchema:
    """A whole schema, equal only to itself.

    It may be recursive: then following `resolve` does not terminate.
    """

    root: AvroType
    named: Mapping[str, Named]
    """Every named type by its full name."""
    loop: str | None = None
    """The full name of a record that contains itself; None if there is none."""

    @property
    def data(self) -> AvroType | None:
        """The type of the field `data`; None if there is none."""
        fields = self.root.fields if isinstance(self.root, RecordNode) else ()
        return next((field.type for field in fields if field.name == "data"), None)

    def resolve(self, node: AvroType) -> Resolved:
        """Return the type itself, or the referenced one."""
        return self.named[node.name] if isinstance(node, Reference) else node

    def singles(self, node: AvroType) -> Iterator[Primitive | Named]:
        """Yield the types of single values at a path, from within arrays, maps and unions."""
        resolved = self.resolve(node)
        if isinstance(resolved, Array | Map | Union):
            for _, part in parts(resolved):
                yield from self.singles(part)
        else:
            yield resolved


class SchemaCompiler(ABC, Generic[T]):
    """Compiles each type of a schema to a `T`, each record once."""

    def __init__(self, schema: AvroSchema) -> None:
        """Take the schema; its references are followed."""
        self.schema = schema
        self._made: dict[str, T] = {}
        self._open: set[str] = set()

    def make(self, node: AvroType) -> T:
        """Return the compiled type."""
        resolved = self.schema.resolve(node)
        match resolved:
            case RecordNode(name=name):
                if name not in self._made:
                    if name in self._open:
                        return self.recursive(resolved)
                    self._open.add(name)
                    self._made[name] = self.record(resolved)
                    self._open.discard(name)
                return self._made[name]
            case Array():
                return self.array(resolved)
            case Map():
                return self.map(resolved)
            case Union():
                return self.union(resolved)
            case Primitive() | Enum() | Fixed():
                return self.leaf(resolved)

    @abstractmethod
    def leaf(self, node: Leaf) -> T:
        """Compile a type without parts."""

    @abstractmethod
    def array(self, node: Array) -> T:
        """Compile an array."""

    @abstractmethod
    def map(self, node: Map) -> T:
        """Compile a map."""

    @abstractmethod
    def union(self, node: Union) -> T:
        """Compile a union."""

    @abstractmethod
    def record(self, node: RecordNode) -> T:
        """Compile a record."""

    def recursive(self, node: RecordNode) -> T:
        """Compile a record nested in itself."""
        raise InvariantBroken(
            f"{node.name} contains itself: such a schema is refused before its use"
        )


def parts(node: AvroType, at: str = "") -> Iterator[tuple[str, AvroType]]:
    """Yield the direct parts of a type at a path with theirs; references are not followed."""
    match node:
        case RecordNode(fields=fields):
            yield from ((joined(at, field.name), field.type) for field in fields)
        case Array(items=items):
            yield f"{at}[]", items
        case Map(values=values):
            yield f"{at}{{}}", values
        case Union(branches=branches):
            yield from ((at, branch) for branch in branches)
        case Primitive() | Enum() | Fixed() | Reference():
            return


def walk(node: AvroType, at: str = "") -> Iterator[tuple[str, AvroType]]:
    """Yield a type and all types within it with their paths, each named type at its definition."""
    yield at, node
    for path, part in parts(node, at):
        yield from walk(part, path)


def type_name(node: AvroType) -> str:
    """Return the full name of a named type, or the kind of any other."""
    return node.kind if isinstance(node, Primitive) else node.name


def say(node: Resolved) -> str:
    """Return a short description of a type, for messages."""
    if isinstance(node, Primitive):
        return node.kind if node.logical is None else f"{node.kind} {node.logical}"
    if isinstance(node, Array | Map | Union):
        return f"an {node.name}" if isinstance(node, Array) else f"a {node.name}"
    return node.name
