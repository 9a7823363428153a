"""Tells whether records of one schema can be read by another, and what a partner would lose.

The rules are those of Apache Avro 1.12, "Schema Resolution", made stricter where Avro would read
on and be wrong: logical types with precision and scale must be equal, since Avro compares bytes
only and would take 12.50 for 125.0; bytes are not read as a string, since they need not be text;
names are compared in full; and every branch that a writer may choose must be readable, not only
the one that it chose.
"""

from collections.abc import Iterator
from typing import Final

from hookstream.core.model.avro import (
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
)
from hookstream.core.model.avro_reading import read_schema
from hookstream.core.model.json import Json
from hookstream.errors import InvariantBroken

_PROMOTIONS: Final = frozenset(
    {
        ("int", "long"),
        ("int", "float"),
        ("int", "double"),
        ("long", "float"),
        ("long", "double"),
        ("float", "double"),
        ("string", "bytes"),
        ("bytes", "string"),
    }
)
"""Writer's type, reader's type."""


def incompatibilities(writer: Json, reader: Json) -> list[str]:
    """Return why records of `writer` cannot be read as `reader`, one sentence with its path each.

    Empty: every record can. A field that only the reader has needs a default; whether a default
    is acceptable is another question (`vanished`).

    Raises:
        SchemaRefused: One of the two is no Avro schema.
    """
    return _Resolution(read_schema(writer), read_schema(reader)).problems()


def vanished(old: Json, new: Json) -> list[str]:
    """Return the fields that a reader of `old` would lose if records were written as `new`.

    A field is still carried where `new` has one of its name, or of one of the aliases that `old`
    gives it: exactly what a decoder would find. All others would be filled with defaults that
    nobody meant, or stop the record.

    Raises:
        SchemaRefused: One of the two is no Avro schema.
    """
    comparison = _Comparison(read_schema(old), read_schema(new))
    return list(comparison.lost(comparison.old.root, comparison.new.root, ""))


class _Resolution:
    """Walks two schemas side by side."""

    __slots__ = ("_reader", "_seen", "_writer")

    def __init__(self, writer: AvroSchema, reader: AvroSchema) -> None:
        self._writer = writer
        self._reader = reader
        self._seen: set[tuple[str, str]] = set()
        """Pairs of records already walked: what holds of them holds wherever they stand."""

    def problems(self) -> list[str]:
        return list(self._walk(self._writer.root, self._reader.root, ""))

    def _walk(self, written: AvroType, read: AvroType, at: str) -> Iterator[str]:
        writer, reader = self._writer.resolve(written), self._reader.resolve(read)
        if isinstance(writer, Union):
            for branch in writer.branches:
                yield from self._walk(branch, reader, at)
            return
        if isinstance(reader, Union):
            yield from self._into_union(writer, reader, at)
        elif _alike(writer, reader):
            yield from self._pair(writer, reader, at)
        else:
            yield f"{_at(at)}{_say(writer)} cannot be read as {_say(reader)}"

    def _pair(self, writer: Resolved, reader: Resolved, at: str) -> Iterator[str]:
        """Compare two types that a decoder would pair."""
        match writer, reader:
            case Array(), Array():
                yield from self._walk(writer.items, reader.items, f"{at}[]")
            case Map(), Map():
                yield from self._walk(writer.values, reader.values, f"{at}{{}}")
            case Primitive(kind="bytes"), Primitive(kind="string"):
                yield f"{_at(at)}bytes cannot be read as string: they need not be text"
            case Primitive(), Primitive():
                yield from _logical(writer.logical, reader.logical, at)
            case Enum(), Enum():
                yield from _symbols(writer, reader, at)
            case Fixed(), Fixed():
                yield from _bytes(writer, reader, at)
            case Record(), Record():
                yield from self._records(writer, reader, at)
            case _:
                raise InvariantBroken("two types of different kinds were taken for alike")

    def _into_union(self, writer: Resolved, reader: Union, at: str) -> Iterator[str]:
        """A decoder takes the first branch of the reader's that fits, be it by a promotion."""
        branches = [self._reader.resolve(branch) for branch in reader.branches]
        for branch in branches:
            if _alike(writer, branch):
                yield from self._walk(writer, branch, at)
                return
        said = ", ".join(map(_say, branches))
        yield f"{_at(at)}{_say(writer)} is none of the reader's branches ({said})"

    def _records(self, writer: Record, reader: Record, at: str) -> Iterator[str]:
        pair = writer.name, reader.name
        if pair in self._seen:
            return
        self._seen.add(pair)
        for field in reader.fields:
            path = f"{at}.{field.name}" if at else field.name
            sources = _sources(field, reader, writer)
            if len(sources) > 1:
                both = " and ".join(source.name for source in sources)
                yield f"{path}: the writer's fields {both} would both fill it"
            for source in sources[:1]:
                yield from self._walk(source.type, field.type, path)
            if not sources and not field.has_default:
                yield f"{path}: the writer has no such field, and the reader has no default"


class _Comparison:
    """Looks for fields of one schema in another."""

    __slots__ = ("_seen", "new", "old")

    def __init__(self, old: AvroSchema, new: AvroSchema) -> None:
        self.old = old
        self.new = new
        self._seen: set[tuple[str, str]] = set()

    def lost(self, kept: AvroType, given: AvroType, at: str) -> Iterator[str]:
        old, new = self.old.resolve(kept), self.new.resolve(given)
        match old, new:
            case Record(), Record():
                yield from self._lost_fields(old, new, at)
            case Array(), Array():
                yield from self.lost(old.items, new.items, f"{at}[]")
            case Map(), Map():
                yield from self.lost(old.values, new.values, f"{at}{{}}")
            case (Union(), _) | (_, Union()):
                for one in self._branches(old, self.old):
                    for other in self._branches(new, self.new):
                        if _alike(other, one):
                            yield from self.lost(one, other, at)
            case _:
                return

    @staticmethod
    def _branches(node: Resolved, schema: AvroSchema) -> list[Resolved]:
        if isinstance(node, Union):
            return [schema.resolve(branch) for branch in node.branches]
        return [node]

    def _lost_fields(self, old: Record, new: Record, at: str) -> Iterator[str]:
        pair = old.name, new.name
        if pair in self._seen:
            return
        self._seen.add(pair)
        for field in old.fields:
            path = f"{at}.{field.name}" if at else field.name
            sources = _sources(field, old, new)
            if not sources:
                yield f"{path}: nothing carries this field any more"
            for source in sources[:1]:
                yield from self.lost(field.type, source.type, path)


def _symbols(writer: Enum, reader: Enum, at: str) -> Iterator[str]:
    unknown = [symbol for symbol in writer.symbols if symbol not in reader.symbols]
    if unknown and reader.default is None:
        yield (
            f"{_at(at)}the symbols {', '.join(unknown)} are unknown to the reader's "
            f"{reader.name}, which has no default"
        )


def _bytes(writer: Fixed, reader: Fixed, at: str) -> Iterator[str]:
    if writer.size != reader.size:
        yield f"{_at(at)}{writer.name} has {writer.size} bytes, not {reader.size}"
    else:
        yield from _logical(writer.logical, reader.logical, at)


def _sources(field: Field, reader: Record, writer: Record) -> list[Field]:
    """Return the writer's fields that fill a reader's field: one, where all is well.

    An alias that is also the name of a field of the reader means that field.
    """
    names = {name.name for name in reader.fields}
    wanted = {field.name, *(alias for alias in field.aliases if alias not in names)}
    return [source for source in writer.fields if source.name in wanted]


def _alike(writer: Resolved, reader: Resolved) -> bool:
    """Tell whether a decoder would pair the two, by kind and name alone."""
    match writer, reader:
        case Primitive(), Primitive():
            kinds = writer.kind, reader.kind
            return writer.kind == reader.kind or kinds in _PROMOTIONS
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


def _say(node: Resolved) -> str:
    match node:
        case Primitive(kind=kind, logical=logical):
            return kind if logical is None else f"{kind} {logical}"
        case Array():
            return "an array"
        case Map():
            return "a map"
        case Union():
            return "a union"
        case Enum(name=name) | Fixed(name=name) | Record(name=name):
            return name


def _logical(writer: Logical | None, reader: Logical | None, at: str) -> Iterator[str]:
    if writer != reader:
        yield (
            f"{_at(at)}{writer or 'no logical type'} would be read as "
            f"{reader or 'no logical type'}: the values would be misread without a word"
        )


def _at(path: str) -> str:
    return f"{path}: " if path else ""
