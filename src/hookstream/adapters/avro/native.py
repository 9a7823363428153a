"""Compiles schemas for the native accelerator, which returns the same results as Python, or None.

A published schema is compiled once to a program of the accelerator. From a record's bytes one call of it
makes the event's identity, and its `standard` body if such are requested, without a Python object for
each field; another call makes the values at the paths of filters. It returns None to leave to Python:

- a record that is refused, or whose data cannot be rendered, so that each reason has one source;
- a record of a schema that it has no program for (`program_of` says which).
"""

from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Final, Protocol, TypeAlias, cast

import orjson

from hookstream.adapters.avro.published import PublishedSchema
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
from hookstream.core.model.json import JsonObject, Paths
from hookstream.errors import HookstreamError

Description: TypeAlias = tuple[str, list[str], list[int]]
"""A type for the accelerator: its kind, texts (names of fields, symbols) and numbers (parts, sizes)."""
Asked: TypeAlias = dict[str, "Asked"]
"""Paths as nested objects: each name with the paths below it."""
Read: TypeAlias = tuple[str, int, str, str, bool, bytes | None]
"""Event id, time, entity, environment, whether these three texts are printable ASCII within their bounds
(otherwise Python checks them), and the `standard` body at the record's own version if it was made."""

ENVELOPE: Final = {
    "event_id": ("string",),
    "occurred_at": ("long", "timestamp-micros"),
    "entity_id": ("string",),
    "environment": ("string", "enum"),
    "data": ("record",),
}
"""The types of the envelope's fields that a program reads."""
_MOST_DIGITS: Final = 38
"""The most digits of a decimal that a program writes: their number fits into 128 bits."""
_DOUBLES: Final = (1e16, 123456789012345680.0, 1e22, 1.7976931348623157e308, 1e-5, 1.5e-7, 5e-324)
"""Numbers that different encoders, or releases of one, write differently."""


class ReadersDiffer(HookstreamError):
    """Raised if Python refuses a record that the accelerator read: one of them has a bug."""


Pick: TypeAlias = Callable[[bytes, int], JsonObject | None]
"""Returns the values at some paths of an event's data, given the record's value and the start of its body.

The record's data was rendered before. The containers of a value are kept: an array has all its elements, an
object the requested fields. None: Python answers. Callers do not change the result.
"""


class Selection(Protocol):
    """Paths, compiled for one program."""

    pick: Pick


class _Program(Protocol):
    """A published schema, compiled by the accelerator."""

    def check(self, value: bytes, body_at: int) -> Read | None: ...

    def read(self, value: bytes, body_at: int) -> Read | None: ...

    def select(self, asked: Asked) -> Selection: ...


class NativeProgram:
    """A published schema whose records the accelerator reads.

    A body takes as long as everything else, and is not needed if all subscriptions have another version.
    So it is made with the rest only after it was requested for a record.
    """

    def __init__(self, program: _Program) -> None:
        """Take the compiled schema."""
        self._program = program
        self.read: Callable[[bytes, int], Read | None] = program.check
        """Reads an event's record, given its value and the start of its body; None: Python answers."""
        self.select = program.select
        """Returns a selection of its data."""

    def body(self, value: bytes, body_at: int) -> bytes | None:
        """Return the `standard` body of an event that was read without it; None: Python makes it."""
        self.read = self._program.read
        read = self.read(value, body_at)
        return None if read is None else read[-1]


def asked_of(paths: Paths) -> Asked:
    """Return the part of a body's paths that concerns its data."""
    asked: Asked = {}
    for first, *rest in paths:
        below = asked if first == "data" else {}
        for name in rest:
            below = below.setdefault(name, {})
    return asked


class NativeFields(Mapping[str, object]):
    """The fields of a record that the accelerator read; Python decodes them when one is requested."""

    __slots__ = ("_decode", "_fields", "bodies", "schema")

    def __init__(
        self,
        schema: PublishedSchema,
        body: bytes | None,
        decode: Callable[[], Mapping[str, object]],
    ) -> None:
        """Take the schema of the record, its body at its own version if it was made, and its decoder."""
        self.schema = schema
        self.bodies: dict[PublishedSchema, bytes | None] = {} if body is None else {schema: body}
        """The `standard` bodies so far, by the schemas of their versions; None: Python makes it."""
        self._decode = decode
        self._fields: Mapping[str, object] | None = None

    def _decoded(self) -> Mapping[str, object]:
        if self._fields is None:
            self._fields = self._decode()
        return self._fields

    def __getitem__(self, name: str) -> object:
        """Return a field."""
        return self._decoded()[name]

    def __iter__(self) -> Iterator[str]:
        """Yield the names of all fields."""
        return iter(self._decoded())

    def __len__(self) -> int:
        """Return how many fields there are."""
        return len(self._decoded())


def program_of(
    module: ModuleType, schema: PublishedSchema, most_values: int
) -> NativeProgram | None:
    """Compile a schema whose data can be rendered; None: Python reads its records.

    Python reads schemas with decimals of more than 38 digits, with an envelope whose fields are unions or have
    unusual types, and with fractions if the encoder of this installation writes them in another form.

    Args:
        module: The accelerator.
        schema: The schema; one of mapped records is compiled by `native_mapped`.
        most_values: The most values of a record.
    """
    root = schema.nodes.root
    if schema.envelope is not None or not isinstance(root, RecordNode):
        return None
    places = _places(schema.nodes, root)
    if places is None:
        return None
    described = Descriptions(schema.nodes, fractions=writes_alike(module))
    try:
        described.make(root)
    except Unwritten:
        return None
    program = module.Program(described.types, places, begins_of(schema), most_values)
    return NativeProgram(cast("_Program", program))


def begins_of(schema: PublishedSchema) -> bytes:
    """Return the text of a body at a version before its timestamp."""
    head = {"type": schema.revision.event_type, "version": schema.revision.event_version}
    return orjson.dumps({**head, "timestamp": ""})[:-2]


def _places(nodes: AvroSchema, root: RecordNode) -> tuple[int, ...] | None:
    """Return the places of the envelope's fields, if a program can read the type of each."""
    at = {field.name: place for place, field in enumerate(root.fields)}
    if not all(
        name in at and _kind_of(nodes, root.fields[at[name]]) in kinds
        for name, kinds in ENVELOPE.items()
    ):
        return None
    return tuple(at[name] for name in ENVELOPE)


def _kind_of(nodes: AvroSchema, field: FieldNode) -> str:
    match nodes.resolve(field.type):
        case Primitive() as node:
            return _primitive(node)
        case Enum():
            return "enum"
        case RecordNode():
            return "record"
        case _:
            return ""


def writes_alike(module: ModuleType) -> bool:
    """Return whether the accelerator writes fractions as the encoder of this installation does."""
    ours = [orjson.dumps(number).decode() for number in _DOUBLES]
    return bool(module.number_texts(_DOUBLES) == ours)


class Unwritten(Exception):
    """Raised for a type that no program can write."""


class Descriptions(SchemaCompiler[int]):
    """Describes the types of a schema, each after its parts, and returns their places."""

    def __init__(
        self, schema: AvroSchema, *, fractions: bool, types: list[Description] | None = None
    ) -> None:
        """Take the schema, and the list to add its types to; None: a new one.

        `fractions`: Whether the accelerator writes them as hookstream does.
        """
        super().__init__(schema)
        self.types: list[Description] = [] if types is None else types
        """All types so far."""
        self._fractions = fractions

    def leaf(self, node: Leaf) -> int:
        """Describe a type without parts."""
        match node:
            case Enum(symbols=symbols):
                return self.add("enum", symbols)
            case Fixed():
                return self._fixed(node.size, node.logical)
            case Primitive(kind="bytes", logical=Logical(name="decimal") as logical):
                return self.add("decimal", (), _digits(logical))
            case Primitive(kind="float" | "double") if not self._fractions:
                raise Unwritten
            case Primitive():
                return self.add(_primitive(node))

    def _fixed(self, size: int, logical: Logical | None) -> int:
        if logical is None:
            return self.add("fixed", (), (size,))
        if logical.name == "decimal":
            return self.add("fixed decimal", (), (size, *_digits(logical)))
        return self.add(logical.name)

    def array(self, node: Array) -> int:
        """Describe an array."""
        return self.add("array", (), (self.make(node.items),))

    def map(self, node: Map) -> int:
        """Describe a map."""
        return self.add("map", (), (self.make(node.values),))

    def union(self, node: Union) -> int:
        """Describe a union."""
        return self.add("union", (), tuple(map(self.make, node.branches)))

    def record(self, node: RecordNode) -> int:
        """Describe a record."""
        parts = tuple(self.make(field.type) for field in node.fields)
        return self.add("record", tuple(field.name for field in node.fields), parts)

    def add(self, kind: str, texts: tuple[str, ...] = (), numbers: tuple[int, ...] = ()) -> int:
        """Add a type whose parts were added before; return its place."""
        self.types.append((kind, list(texts), list(numbers)))
        return len(self.types) - 1


def _primitive(node: Primitive) -> str:
    """Return the kind of a primitive type other than a decimal."""
    if node.kind in ("int", "long") and node.logical is not None:
        return node.logical.name
    return "long as text" if node.kind == "long" and node.as_text else node.kind


def _digits(logical: Logical) -> tuple[int, int]:
    if logical.precision > _MOST_DIGITS:
        raise Unwritten
    return logical.precision, logical.scale
