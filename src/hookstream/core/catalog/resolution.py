"""How a record of one schema is read as another: one walk over both says whether it can be, and does it.

What is accepted when a schema is published is therefore what is read later. The rules are those of
Apache Avro 1.12, "Schema Resolution", made stricter where Avro would read on and be wrong: logical
types with precision and scale must be equal, since Avro compares bytes only and would take 12.50
for 125.0; bytes are not read as a string, since they need not be text; names are compared in full;
every branch that a writer may choose must be readable; and a number that a promotion would round is
no value of the reader's type. Of a reader's union the first branch of the writer's own kind counts,
then the first that the writer's kind is promoted to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from hookstream.core.catalog.filling import Defaults, Filled, Filling, NoValue
from hookstream.core.catalog.promotion import PROMOTED, PROMOTIONS, Step, ValueUnresolvable
from hookstream.core.model.avro import (
    SINGLE,
    SINGLE_VALUE,
    Array,
    AvroSchema,
    AvroType,
    Enum,
    Field,
    Fixed,
    Logical,
    Map,
    Primitive,
    Record,
    Resolved,
    Union,
    branch_key,
    say,
)
from hookstream.errors import InvariantBroken


@dataclass(slots=True, frozen=True)
class Resolution:
    """What reading records of one schema as another takes."""

    problems: Sequence[str]
    """Why it cannot be done, one sentence with its path each; empty: every record can be read."""
    step: Step
    """Reads one record, where there are no problems.

    Takes a value whose unions name their branches: None, or a dict of one key, the `branch_key` of
    the branch that was chosen. Returns it as the reader's own schema would have been decoded.
    Raises ValueUnresolvable for a number that the reader's type would round, and where defaults
    would fill more values in than `filled` has room for.
    """
    filled: Filled
    """Counts what defaults fill in; to be begun before each record."""


def resolution(
    writer: AvroSchema, reader: AvroSchema, *, branch_names: bool, every_branch: bool = False
) -> Resolution:
    """Return how records of `writer` are read as `reader`.

    Args:
        writer: The schema that records were written with.
        reader: The schema that they are read as.
        branch_names: Values of named types in unions are handed out as (full name, value).
        every_branch: Every value of a union but null is handed out as it is taken: a dict of one
            key, the `branch_key` of the reader's branch.
    """
    walk = _Walk(writer, reader, branch_names=branch_names, every_branch=every_branch)
    step = walk.step(writer.root, reader.root, "")
    return Resolution(tuple(walk.problems), step, walk.filled)


def _same(value: object) -> object:
    return value


class _Walk:
    """Walks two schemas side by side."""

    __slots__ = (
        "_branch_names",
        "_defaults",
        "_every_branch",
        "_reader",
        "_records",
        "_writer",
        "filled",
        "problems",
    )

    def __init__(
        self, writer: AvroSchema, reader: AvroSchema, *, branch_names: bool, every_branch: bool
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._branch_names = branch_names
        self._every_branch = every_branch
        self._defaults = Defaults(reader, self._tag)
        self.problems: list[str] = []
        self.filled = Filled()
        self._records: dict[tuple[str, str], Step] = {}
        """Pairs of records already walked: what holds of them holds wherever they stand."""

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
        branches = [self._reader.resolve(branch) for branch in reader.branches]
        number = _branch_for(writer, branches)
        if number is None:
            said = ", ".join(map(say, branches))
            return self._problem(at, f"{say(writer)} is none of the reader's branches ({said})")
        return self._tagged(reader, number, self._pair(writer, branches[number], at))

    def _tagged(self, union: Union, number: int, step: Step) -> Step:
        """Return a step whose value says which branch it is, as the reader's decoder does."""
        branches = [self._reader.resolve(branch) for branch in union.branches]
        branch = branches[number]
        if self._every_branch:
            key = branch_key(number)
            return step if _is_null(branch) else lambda value: {key: step(value)}
        if isinstance(branch, Primitive):
            kinds = {each.kind for each in branches if isinstance(each, Primitive)}
            if branch.kind == "float" and "double" in kinds:
                return lambda value: (SINGLE, {SINGLE_VALUE: step(value)})
            return step
        if self._branch_names and isinstance(branch, Record | Enum | Fixed):
            name = branch.name
            return lambda value: (name, step(value))
        return step

    def _tag(self, union: Union, number: int, value: object) -> object:
        return self._tagged(union, number, _same)(value)

    def _pair(self, writer: Resolved, reader: Resolved, at: str) -> Step:
        match writer, reader:
            case Array(), Array():
                return _array(self.step(writer.items, reader.items, f"{at}[]"))
            case Map(), Map():
                return _map(self.step(writer.values, reader.values, f"{at}{{}}"))
            case Primitive(kind="bytes"), Primitive(kind="string"):
                return self._problem(at, "bytes cannot be read as string: they need not be text")
            case Primitive(), Primitive():
                self._logical(writer.logical, reader.logical, at)
                return PROMOTED.get((writer.kind, reader.kind), _same)
            case Enum(), Enum():
                return self._symbols(writer, reader, at)
            case Fixed(), Fixed():
                return self._fixed(writer, reader, at)
            case Record(), Record():
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
        unknown = [symbol for symbol in writer.symbols if symbol not in reader.symbols]
        if not unknown:
            return _same
        if reader.default is None:
            return self._problem(
                at,
                f"the symbols {', '.join(unknown)} are unknown to the reader's {reader.name},"
                " which has no default",
            )
        known, default = frozenset(reader.symbols), reader.default
        return lambda value: value if value in known else default

    def _fixed(self, writer: Fixed, reader: Fixed, at: str) -> Step:
        if writer.size != reader.size:
            return self._problem(at, f"{writer.name} has {writer.size} bytes, not {reader.size}")
        self._logical(writer.logical, reader.logical, at)
        return _same

    # Records.

    def _record(self, writer: Record, reader: Record, at: str) -> Step:
        pair = writer.name, reader.name
        known = self._records.get(pair)
        if known is not None:
            return known

        def itself(value: object) -> object:
            return self._records[pair](value)

        # A record may hold itself.
        self._records[pair] = itself
        self._records[pair] = step = self._record_step(writer, reader, at)
        return step

    def _record_step(self, writer: Record, reader: Record, at: str) -> Step:
        parts: list[tuple[str, str, Step]] = []
        defaults: dict[str, Filling] = {}
        for field in reader.fields:
            path = f"{at}.{field.name}" if at else field.name
            source = self._source(field, reader, writer, path)
            if source is not None:
                parts.append((field.name, source.name, self.step(source.type, field.type, path)))
            elif field.has_default:
                defaults[field.name] = self._default(field, path)
            else:
                self._problem(path, "the writer has no such field, and the reader has no default")
        order = tuple(field.name for field in reader.fields)
        return _record_render(order, parts, defaults, self.filled)

    def _source(self, field: Field, reader: Record, writer: Record, at: str) -> Field | None:
        found = sources_of(field, reader, writer)
        if len(found) > 1:
            both = " and ".join(source.name for source in found)
            self._problem(at, f"the writer's fields {both} would both fill it")
        return found[0] if found else None

    def _default(self, field: Field, at: str) -> Filling:
        try:
            return self._defaults.filling(field)
        except NoValue as why:
            self._problem(at, f"its default {why}")
            return Filling(0, lambda: None)


def _record_render(
    order: tuple[str, ...],
    parts: Sequence[tuple[str, str, Step]],
    defaults: Mapping[str, Filling],
    filled: Filled,
) -> Step:
    made_of = {name: (source, step) for name, source, step in parts}
    made_by = {name: filling.make for name, filling in defaults.items()}
    values = sum(filling.values for filling in defaults.values())

    def step(value: object) -> object:
        fields = cast("dict[str, object]", value)
        if values:
            filled.take(values)
        read: dict[str, object] = {}
        for name in order:
            source = made_of.get(name)
            if source is None:
                read[name] = made_by[name]()
                continue
            try:
                read[name] = source[1](fields[source[0]])
            except ValueUnresolvable as problem:
                raise problem.within(name) from None
        return read

    return step


def _array(item: Step) -> Step:
    if item is _same:
        return _same

    def step(value: object) -> object:
        read: list[object] = []
        try:
            for each in cast("list[object]", value):
                read.append(item(each))  # noqa: PERF401  its length names what failed
        except ValueUnresolvable as problem:
            raise problem.within(f"[{len(read)}]") from None
        return read

    return step


def _map(item: Step) -> Step:
    if item is _same:
        return _same

    def step(value: object) -> object:
        read: dict[str, object] = {}
        key = ""
        try:
            for key, each in cast("dict[str, object]", value).items():
                read[key] = item(each)
        except ValueUnresolvable as problem:
            raise problem.within(f"[{ascii(key)[:40]}]") from None
        return read

    return step


def _is_null(node: Resolved) -> bool:
    return isinstance(node, Primitive) and node.kind == "null"


def _branch_for(writer: Resolved, branches: Sequence[Resolved]) -> int | None:
    """Return the branch of a reader's union that reads a writer's type."""
    same = (number for number, branch in enumerate(branches) if _is_same_kind(writer, branch))
    promoted = (number for number, branch in enumerate(branches) if alike(writer, branch))
    return next(same, next(promoted, None))


def _is_same_kind(writer: Resolved, reader: Resolved) -> bool:
    if isinstance(writer, Primitive) and isinstance(reader, Primitive):
        return writer.kind == reader.kind
    return alike(writer, reader)


def sources_of(field: Field, reader: Record, writer: Record) -> list[Field]:
    """Return the writer's fields that fill a reader's field: one, where all is well.

    An alias that is also the name of a field of the reader means that field.
    """
    names = {name.name for name in reader.fields}
    wanted = {field.name, *(alias for alias in field.aliases if alias not in names)}
    return [source for source in writer.fields if source.name in wanted]


def alike(writer: Resolved, reader: Resolved) -> bool:
    """Tell whether a decoder would pair the two, by kind and name alone."""
    match writer, reader:
        case Primitive(), Primitive():
            kinds = writer.kind, reader.kind
            return writer.kind == reader.kind or kinds in PROMOTIONS
        case (Array(), Array()) | (Map(), Map()):
            return True
        case (
            (Enum(name=name), Enum(name=other, aliases=aliases))
            | (Fixed(name=name), Fixed(name=other, aliases=aliases))
            | (Record(name=name), Record(name=other, aliases=aliases))
        ):
            return name == other or name in aliases
        case _:
            return False
