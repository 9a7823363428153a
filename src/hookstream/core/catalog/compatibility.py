"""Checks whether records of one schema can be read by another, and which fields would be lost."""

from collections.abc import Iterator

from hookstream.core.avro.nodes import (
    Array,
    AvroSchema,
    AvroType,
    FieldNode,
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
    pairs = carried_fields(read_schema(old), read_schema(new))
    return [f"{at}: nothing carries this field any more" for at, _, by in pairs if by is None]


def carried_fields(
    old: AvroSchema, new: AvroSchema
) -> Iterator[tuple[str, FieldNode, FieldNode | None]]:
    """Yield the fields of `old` with their paths and the fields of `new` that carry them, if any."""
    return _Comparison(old, new).fields(old.root, new.root, "")


class _Comparison:
    """Walks two schemas side by side, each pair of records once."""

    def __init__(self, old: AvroSchema, new: AvroSchema) -> None:
        self._old = old
        self._new = new
        self._seen: set[tuple[str, str]] = set()

    def fields(
        self, kept: AvroType, given: AvroType, at: str
    ) -> Iterator[tuple[str, FieldNode, FieldNode | None]]:
        old, new = self._old.resolve(kept), self._new.resolve(given)
        match old, new:
            case RecordNode(), RecordNode():
                yield from self._of_records(old, new, at)
            case Array(), Array():
                yield from self.fields(old.items, new.items, f"{at}[]")
            case Map(), Map():
                yield from self.fields(old.values, new.values, f"{at}{{}}")
            case (Union(), _) | (_, Union()):
                given_by = {key_of(other): other for other in _branches(new, self._new)}
                for one in _branches(old, self._old):
                    for key in keys_read(one):
                        if key in given_by:
                            yield from self.fields(one, given_by[key], at)
            case _:
                return

    def _of_records(
        self, old: RecordNode, new: RecordNode, at: str
    ) -> Iterator[tuple[str, FieldNode, FieldNode | None]]:
        pair = old.name, new.name
        if pair in self._seen:
            return
        self._seen.add(pair)
        for field, sources in zip(old.fields, sources_of(old, new), strict=True):
            path, source = joined(at, field.name), next(iter(sources), None)
            yield path, field, source
            if source is not None:
                yield from self.fields(field.type, source.type, path)


def _branches(node: Resolved, schema: AvroSchema) -> list[Resolved]:
    return [*map(schema.resolve, node.branches)] if isinstance(node, Union) else [node]
