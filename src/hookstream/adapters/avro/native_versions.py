"""Makes bodies of pinned versions by the native accelerator, and picks values from them.

It reads records as another schema. `core.catalog.resolution` is the reference: a pair of schemas that it
refuses has no program here, and a value that it refuses is left to it.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Final, Protocol, cast

import orjson

from hookstream.adapters.avro.native import (
    Asked,
    Descriptions,
    Pick,
    Selection,
    Unwritten,
    asked_of,
    begins_of,
    writes_alike,
)
from hookstream.adapters.avro.published import PublishedSchema
from hookstream.core.avro.nodes import (
    Array,
    AvroType,
    Enum,
    FieldNode,
    Fixed,
    Map,
    Primitive,
    RecordNode,
    Resolved,
    Union,
)
from hookstream.core.avro.render import NotRenderable, Renderings
from hookstream.core.catalog.resolution import UnionBranches, defaults_of, sources_of
from hookstream.core.model.json import Paths
from hookstream.errors import InvariantBroken

_FILLED: Final = (-1, -1)
"""Stands for a default in place of a field's place and type."""


class PinnedProgram(Protocol):
    """A pair of schemas, compiled by the accelerator."""

    def body(
        self,
        value: bytes,
        body_at: int,
        event_id: str,
        occurred_at: int,
        entity_id: str,
        environment: str,
    ) -> bytes | None:
        """Return the `standard` body of an event in the reader's schema; None: Python answers."""

    def select(self, asked: Asked, loads: Callable[[bytes], object]) -> Selection:
        """Return a selection of its data; `loads` makes a default of its JSON text."""


def picker_of(pair: PinnedProgram, paths: Paths) -> Pick:
    """Return the function that picks the data at a body's paths from a record whose data was made."""
    return pair.select(asked_of(paths), orjson.loads).pick


def pinned_program_of(
    module: ModuleType, writer: PublishedSchema, reader: PublishedSchema, most_values: int
) -> PinnedProgram | None:
    """Compile a pair of schemas whose resolution has no problems; None: Python resolves the records.

    Args:
        module: The accelerator.
        writer: The schema of the records, which the accelerator reads; records of a mapped one are `data`.
        reader: The schema that they are read as; its data can be rendered.
        most_values: The most values that defaults may fill into a record.
    """
    described = _PairDescriptions(writer, reader, fractions=writes_alike(module))
    written, root = writer.nodes.root, reader.nodes.root
    if not isinstance(written, RecordNode) or not isinstance(root, RecordNode):
        return None
    try:
        described.record(written, root, whole=True)
    except (Unwritten, NotRenderable):
        return None
    data = [field.name for field in root.fields].index("data")
    is_bare = writer.envelope is not None
    begins = begins_of(reader)
    found = module.Pinned(described.types, data, most_values, is_bare, begins)
    return cast("PinnedProgram", found)


class _PairDescriptions:
    """Describes the types of a reader as they are read from those of a writer."""

    def __init__(
        self, writer: PublishedSchema, reader: PublishedSchema, *, fractions: bool
    ) -> None:
        self._writer, self._reader = writer.nodes, reader.nodes
        self._written = Descriptions(writer.nodes, fractions=fractions)
        self.types = self._written.types
        self._read = Descriptions(reader.nodes, fractions=fractions, types=self.types)
        self._defaults = defaults_of(reader.nodes, branch_names=reader.branch_names)
        self._renderings = Renderings(reader.nodes, branch_names=reader.branch_names)
        self._records: dict[tuple[str, str], int] = {}

    def make(self, written: AvroType, read: AvroType) -> int:
        """Return the place of a type of the writer, read as one of the reader."""
        writer, reader = self._writer.resolve(written), self._reader.resolve(read)
        if isinstance(writer, Union):
            branches = tuple(self.make(branch, read) for branch in writer.branches)
            return self._written.add("union", (), branches)
        if isinstance(reader, Union):
            types = [self._reader.resolve(branch) for branch in reader.branches]
            number = UnionBranches(types).for_type(writer)
            if number is None:
                raise Unwritten
            reader = types[number]
        return self._pair(writer, reader)

    def _pair(self, writer: Resolved, reader: Resolved) -> int:
        match writer, reader:
            case Array(), Array():
                return self._written.add("array", (), (self.make(writer.items, reader.items),))
            case Map(), Map():
                return self._written.add("map", (), (self.make(writer.values, reader.values),))
            case Enum(), Enum():
                symbols = (
                    symbol if symbol in reader.symbols else reader.default
                    for symbol in writer.symbols
                )
                return self._written.add(
                    "enum", tuple(each for each in symbols if each is not None)
                )
            case Fixed(), Fixed():
                return self._read.leaf(reader)
            case RecordNode(), RecordNode():
                return self._once(writer, reader)
            case Primitive(), Primitive():
                return self._primitive(writer, reader)
            case _:
                raise InvariantBroken(
                    "a pair of types that cannot be read was treated as readable"
                )

    def _primitive(self, writer: Primitive, reader: Primitive) -> int:
        match writer.kind, reader.kind:
            case "int", "long":
                return self._written.add("int as text" if reader.as_text else "int")
            case (("int" | "long"), ("float" | "double")):
                # Without its own description, as if fractions were written in the same form.
                self._read.leaf(reader)
                return self._written.add(f"{writer.kind} as {reader.kind}")
            case "float", "double":
                # A double has the value of the shortest text of the float that it was.
                return self._read.leaf(Primitive("float"))
            case _:
                return self._read.leaf(reader)

    def _once(self, writer: RecordNode, reader: RecordNode) -> int:
        pair = writer.name, reader.name
        if pair not in self._records:
            self._records[pair] = self.record(writer, reader)
        return self._records[pair]

    def record(self, writer: RecordNode, reader: RecordNode, *, whole: bool = False) -> int:
        """Return the place of a record; `whole`: it is the event's, whose only rendered field is its data."""
        places = {field.name: place for place, field in enumerate(writer.fields)}
        texts: list[str] = []
        sources: list[int] = []
        fills = 0
        for field, found in zip(reader.fields, sources_of(reader, writer), strict=True):
            default = ""
            if found:
                sources += (places[found[0].name], self.make(found[0].type, field.type))
            else:
                values, default = self._default(field, is_rendered=not whole)
                fills += values
                sources += _FILLED
            texts += (field.name, default)
        written = tuple(self._written.make(field.type) for field in writer.fields)
        numbers = (fills, len(written), *written, *sources)
        return self._written.add("reread", tuple(texts), numbers)

    def _default(self, field: FieldNode, *, is_rendered: bool) -> tuple[int, str]:
        """Return the number of values that a default fills in, and its JSON text."""
        filling = self._defaults.filling(field)
        if not is_rendered:
            return filling.values, ""
        rendered = self._renderings.make(field.type).render(filling.make())
        return filling.values, orjson.dumps(rendered).decode()
