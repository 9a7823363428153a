"""Resolves records of one schema to another: one walk over both finds problems and builds the reader.

So the check when a schema is published and the reading later cannot disagree. The rules are those of
Apache Avro 1.12, "Schema Resolution", but stricter where Avro would misread a value: logical types
with precision and scale must be equal, since Avro compares bytes only and would take 12.50 for
125.0; bytes are not read as a string, since they need not be text; names are compared in full;
every branch that a writer may choose must be readable; and a number that a promotion would round is
not a value of the reader's type. In a reader's union, the first branch of the writer's own kind
wins, then the first that the writer's kind is promoted to.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, cast

from hookstream.core.avro.nodes import (
    SINGLE,
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
    Resolved,
    Union,
    branch_key,
    say,
    type_name,
)
from hookstream.core.catalog.filling import (
    Defaults,
    NoValue,
    count_filled,
    fill_at_most,
)
from hookstream.core.catalog.promotion import PROMOTED, PROMOTIONS, Step, ValueUnresolvable
from hookstream.core.model.parts import each_item, each_value, joined
from hookstream.errors import InvariantBroken

Key: TypeAlias = tuple[type, str]
_Made: TypeAlias = tuple[str, str | None, Step]
"""A field of the reader, its source among the writer's, and the step from there; None: a default."""
_pack = struct.Struct("<f").pack
_MOST_SAID: Final = 10
"""The most branches of a union that a message lists."""
_WIDER: Final = {
    written: [wider for kind, wider in PROMOTIONS if kind == written] for written, _ in PROMOTIONS
}


@dataclass(slots=True, frozen=True)
class Resolution:
    """The result of resolving a writer's schema to a reader's."""

    problems: Sequence[str]
    """Why records cannot be read, one sentence with its path each; empty: every record can."""
    step: Step
    """Reads one value, if there are no problems; `read` is for whole records."""

    fills: int
    """The most values that defaults fill into any one nested record."""

    def read(self, fields: object, most: int) -> object:
        """Return a record as if it had been decoded by the reader's own schema. Thread-safe.

        Args:
            fields: The record, whose unions name their branches: None, or a dict of one key, the
                `branch_key` of the branch that was chosen.
            most: The most values that defaults may fill in.

        Raises:
            ValueUnresolvable: The reader's type would round a number, or defaults would fill in
                more values.
        """
        fill_at_most(most)
        return self.step(fields)


def resolution(
    writer: AvroSchema, reader: AvroSchema, *, branch_names: bool, every_branch: bool = False
) -> Resolution:
    """Return how records of `writer` are read as `reader`.

    Args:
        writer: The schema that records were written with.
        reader: The schema that they are read as.
        branch_names: Values of named types in unions are returned as (full name, value).
        every_branch: Every value of a union except null is returned in the form that `read` takes:
            a dict of one key, the `branch_key` of the reader's branch.
    """
    walk = _Walk(writer, reader, branch_names=branch_names, every_branch=every_branch)
    step = walk.step(writer.root, reader.root, "")
    return Resolution(tuple(walk.problems), step, walk.fills)


def defaults_of(reader: AvroSchema, *, branch_names: bool) -> Defaults:
    """Return what a resolution to `reader` fills in, by field.

    Args:
        reader: The reader's schema.
        branch_names: As for `resolution`.
    """
    return _Walk(reader, reader, branch_names=branch_names, every_branch=False).defaults


def _same(value: object) -> object:
    return value


class _Walk:
    """Walks two schemas side by side."""

    def __init__(
        self, writer: AvroSchema, reader: AvroSchema, *, branch_names: bool, every_branch: bool
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._branch_names = branch_names
        self._every_branch = every_branch
        self.defaults = Defaults(reader, self._tag)
        self.problems: list[str] = []
        self.fills = 0
        self._branches: dict[int, UnionBranches] = {}
        """The branches of each union of the reader, by the union's identity."""
        self._records: dict[tuple[str, str], Step] = {}
        """Pairs of records already walked: their step does not depend on the path."""

    def _problem(self, at: str, why: str) -> Step:
        self.problems.append(f"{at}: {why}" if at else why)
        return _same

    def step(self, written: AvroType, read: AvroType, at: str) -> Step:
        writer, reader = self._writer.resolve(written), self._reader.resolve(read)
        if isinstance(writer, Union):
            return self._from_union(writer, read, at)
        if isinstance(reader, Union):
            return self._into_union(writer, reader, at)
        if not alike(writer, reader):
            return self._problem(at, f"{say(writer)} cannot be read as {say(reader)}")
        return self._pair(writer, reader, at)

    def _from_union(self, writer: Union, read: AvroType, at: str) -> Step:
        steps: dict[str, Step] = {}
        null: Step | None = None
        for number, branch in enumerate(writer.branches):
            step = self.step(branch, read, at)
            if _is_null(self._writer.resolve(branch)):
                null = step
            else:
                steps[branch_key(number)] = step

        def chosen(value: object) -> object:
            if value is None and null is not None:
                return null(None)
            ((key, inner),) = cast("dict[str, object]", value).items()
            return steps[key](inner)

        return chosen

    def _into_union(self, writer: Resolved, reader: Union, at: str) -> Step:
        branches = self._branches_of(reader)
        number = branches.for_type(writer)
        if number is None:
            return self._problem(
                at, f"{say(writer)} is none of the reader's branches ({branches})"
            )
        return self._tagged(branches, number, self._pair(writer, branches.types[number], at))

    def _branches_of(self, reader: Union) -> "UnionBranches":
        known = self._branches.get(id(reader))
        if known is None:
            known = UnionBranches([self._reader.resolve(branch) for branch in reader.branches])
            self._branches[id(reader)] = known
        return known

    def _tagged(self, branches: "UnionBranches", number: int, step: Step) -> Step:
        """Return a step that tags its value with the branch, as the reader's decoder does."""
        branch = branches.types[number]
        if self._every_branch:
            key = branch_key(number)
            return step if _is_null(branch) else lambda value: {key: step(value)}
        if isinstance(branch, Primitive):
            if branch.kind == "float" and branches.have_double:
                if self._branch_names:
                    return lambda value: (SINGLE, _pack(step(value)))
                return lambda value: _pack(step(value))
            return step
        if self._branch_names and isinstance(branch, RecordNode | Enum | Fixed):
            name = branch.name
            return lambda value: (name, step(value))
        return step

    def _tag(self, union: Union, number: int, value: object) -> object:
        return self._tagged(self._branches_of(union), number, _same)(value)

    def _pair(self, writer: Resolved, reader: Resolved, at: str) -> Step:
        match writer, reader:
            case Array(), Array():
                item = self.step(writer.items, reader.items, f"{at}[]")
                return _same if item is _same else each_item(item, ValueUnresolvable)
            case Map(), Map():
                item = self.step(writer.values, reader.values, f"{at}{{}}")
                return _same if item is _same else each_value(item, ValueUnresolvable)
            case Primitive(kind="bytes"), Primitive(kind="string"):
                return self._problem(at, "bytes cannot be read as string: they need not be text")
            case Primitive(), Primitive():
                self._logical(writer.logical, reader.logical, at)
                return PROMOTED.get((writer.kind, reader.kind), _same)
            case Enum(), Enum():
                return self._symbols(writer, reader, at)
            case Fixed(), Fixed():
                return self._fixed(writer, reader, at)
            case RecordNode(), RecordNode():
                return self._record(writer, reader, at)
            case _:
                raise InvariantBroken("two types of different kinds were taken for alike")

    def _logical(self, writer: Logical | None, reader: Logical | None, at: str) -> None:
        if writer != reader:
            self._problem(
                at,
                f"{writer or 'no logical type'} would be read as {reader or 'no logical type'}:"
                " the values would be misread without a word",
            )

    def _symbols(self, writer: Enum, reader: Enum, at: str) -> Step:
        known = frozenset(reader.symbols)
        unknown = [symbol for symbol in writer.symbols if symbol not in known]
        if not unknown:
            return _same
        if reader.default is None:
            return self._problem(
                at,
                f"the symbols {', '.join(unknown)} are unknown to the reader's {reader.name},"
                " which has no default",
            )
        default = reader.default
        return lambda value: value if value in known else default

    def _fixed(self, writer: Fixed, reader: Fixed, at: str) -> Step:
        if writer.size != reader.size:
            return self._problem(at, f"{writer.name} has {writer.size} bytes, not {reader.size}")
        self._logical(writer.logical, reader.logical, at)
        return _same

    # Records.

    def _record(self, writer: RecordNode, reader: RecordNode, at: str) -> Step:
        pair = writer.name, reader.name
        if pair in self._records:
            return self._records[pair]

        def itself(value: object) -> object:
            return self._records[pair](value)

        # A record may contain itself.
        self._records[pair] = itself
        self._records[pair] = step = self._fields(writer, reader, at)
        return step

    def _fields(self, writer: RecordNode, reader: RecordNode, at: str) -> Step:
        made: list[_Made] = []
        fills = 0
        for field, sources in zip(reader.fields, sources_of(reader, writer), strict=True):
            path = joined(at, field.name)
            if len(sources) > 1:
                both = " and ".join(source.name for source in sources)
                self._problem(path, f"the writer's fields {both} would both fill it")
            if sources:
                source = sources[0]
                made.append((field.name, source.name, self.step(source.type, field.type, path)))
            elif field.has_default:
                step, values = self._default(field, path)
                made.append((field.name, None, step))
                fills += values
            else:
                self._problem(path, "the writer has no such field, and the reader has no default")
        self.fills = max(self.fills, fills)
        return _record_step(made, fills)

    def _default(self, field: FieldNode, at: str) -> tuple[Step, int]:
        """Return the step that fills in a default, and how many values it fills in."""
        try:
            filling = self.defaults.filling(field)
        except NoValue as why:
            return self._problem(at, f"its default {why}"), 0
        return lambda _: filling.make(), filling.values


def _record_step(made: Sequence[_Made], fills: int) -> Step:
    """Return the step of a record; its defaults fill in `fills` values."""

    def step(value: object) -> object:
        fields = cast("dict[str, object]", value)
        if fills:
            count_filled(fills)
        read: dict[str, object] = {}
        for name, source, make in made:
            try:
                read[name] = make(None if source is None else fields[source])
            except ValueUnresolvable as problem:
                raise problem.within(name) from None
        return read

    return step


def _is_null(node: Resolved) -> bool:
    return isinstance(node, Primitive) and node.kind == "null"


class UnionBranches:
    """The branches of a reader's union, looked up by the writer's type."""

    def __init__(self, types: Sequence[Resolved]) -> None:
        """Take the types of the branches, in order."""
        self.types = types
        self._found: dict[Key, int] = {}
        for number, branch in enumerate(types):
            for key in keys_read(branch):
                self._found.setdefault(key, number)
        self.have_double = (Primitive, "double") in self._found

    def __str__(self) -> str:
        """Return the first few, for messages."""
        said = ", ".join(map(say, self.types[:_MOST_SAID]))
        return said if len(self.types) <= _MOST_SAID else f"{said}, ..."

    def for_type(self, writer: Resolved) -> int | None:
        """Return the branch that reads a writer's type."""
        same = self._found.get(key_of(writer))
        if same is not None or not isinstance(writer, Primitive):
            return same
        wider = (self._found.get((Primitive, kind)) for kind in _WIDER.get(writer.kind, ()))
        return min((number for number in wider if number is not None), default=None)


def sources_of(reader: RecordNode, writer: RecordNode) -> list[list[FieldNode]]:
    """Return the writer's fields that fill each field of the reader; more than one is a conflict.

    An alias that is also the name of a field of the reader means that field.
    """
    names = {field.name for field in reader.fields}
    placed = {field.name: place for place, field in enumerate(writer.fields)}
    found = []
    for field in reader.fields:
        wanted = {field.name, *(alias for alias in field.aliases if alias not in names)}
        places = sorted(placed[name] for name in wanted if name in placed)
        found.append([writer.fields[place] for place in places])
    return found


def key_of(node: Resolved) -> Key:
    """Return the key by which a decoder matches a writer's type: its kind, and the name if named."""
    return type(node), type_name(node)


def keys_read(node: Resolved) -> Sequence[Key]:
    """Return the keys of the writer's types that a reader's type reads without promotion."""
    if isinstance(node, Enum | Fixed | RecordNode):
        return [(type(node), name) for name in (node.name, *node.aliases)]
    return [key_of(node)]


def alike(writer: Resolved, reader: Resolved) -> bool:
    """Return whether a decoder would match the two, by kind and name alone."""
    if key_of(writer) in keys_read(reader):
        return True
    return (
        isinstance(writer, Primitive)
        and isinstance(reader, Primitive)
        and (writer.kind, reader.kind) in PROMOTIONS
    )
