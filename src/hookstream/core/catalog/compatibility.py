"""Checks whether records of one schema can be read by another, and which fields would be lost."""

from collections.abc import Iterator

from hookstream.core.avro.nodes import (
    Array,
    AvroSchema,
    AvroType,
    Map,
    RecordNode,
    Resolved,
    Union,
)
from hookstream.core.avro.reader import read_schema
from hookstream.core.catalog.resolution import key_of, keys_read, resolution, sources_of
from hookstream.core.model.json import Json
from hookstream.core.model.parts import joined


def incompatibilities(writer: Json, reader: Json) -> list[str]:
    """Return why records of `writer` cannot be read as `reader`, one sentence with its path each.

    Empty: every record can. A field that only the reader has needs a default; `vanished` checks
    whether a default is acceptable.

    Raises:
        SchemaRefused: One of the two is not a valid Avro schema.
    """
    found = resolution(read_schema(writer), read_schema(reader), branch_names=False)
    return list(found.problems)


def vanished(old: Json, new: Json) -> list[str]:
    """Return the fields that a reader of `old` would lose if records were written as `new`.

    A field is still carried if `new` has a field of its name, or of one of the aliases that `old`
    gives it: exactly what a decoder would find. All others would be filled with unintended
    defaults, or make the record undecodable.

    Raises:
        SchemaRefused: One of the two is not a valid Avro schema.
    """
    comparison = _Comparison(read_schema(old), read_schema(new))
    return list(comparison.lost(comparison.old.root, comparison.new.root, ""))


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
            case RecordNode(), RecordNode():
                yield from self._lost_fields(old, new, at)
            case Array(), Array():
                yield from self.lost(old.items, new.items, f"{at}[]")
            case Map(), Map():
                yield from self.lost(old.values, new.values, f"{at}{{}}")
            case (Union(), _) | (_, Union()):
                given_by = {key_of(other): other for other in self._branches(new, self.new)}
                for one in self._branches(old, self.old):
                    for key in keys_read(one):
                        if key in given_by:
                            yield from self.lost(one, given_by[key], at)
            case _:
                return

    @staticmethod
    def _branches(node: Resolved, schema: AvroSchema) -> list[Resolved]:
        if isinstance(node, Union):
            return [schema.resolve(branch) for branch in node.branches]
        return [node]

    def _lost_fields(self, old: RecordNode, new: RecordNode, at: str) -> Iterator[str]:
        pair = old.name, new.name
        if pair in self._seen:
            return
        self._seen.add(pair)
        for field, sources in zip(old.fields, sources_of(old, new), strict=True):
            path = joined(at, field.name)
            if not sources:
                yield f"{path}: nothing carries this field any more"
            for source in sources[:1]:
                yield from self.lost(field.type, source.type, path)
