"""Finds what a revision would change in the JSON that partners of its version receive.

Avro resolution is more lenient than a partner: a string can be read as bytes, yet the field's text
becomes base64; `"json": "string"` is unknown to Avro, yet it turns a number into text.
"""

from collections.abc import Iterator

from hookstream.core.avro.nodes import AvroSchema, AvroType, FieldNode, Primitive, RecordNode
from hookstream.core.avro.reader import read_schema
from hookstream.core.model.json import Json
from hookstream.core.model.parts import joined


def body_changes(old: Json, new: Json) -> list[str]:
    """Return the common fields whose JSON would look different, one sentence each.

    Fields are compared by their names in `old`. Ignored are fields that only one of the two has,
    and numbers that are written as a whole number in one and with a fraction in the other.

    Raises:
        SchemaRefused: One of the two is not a valid Avro schema.
    """
    comparison = _Comparison(read_schema(old), read_schema(new))
    return list(dict.fromkeys(comparison.root()))


class _Comparison:
    """Walks two schemas side by side."""

    __slots__ = ("_new", "_old", "_seen")

    def __init__(self, old: AvroSchema, new: AvroSchema) -> None:
        self._old = old
        self._new = new
        self._seen: set[tuple[str, str]] = set()

    def root(self) -> Iterator[str]:
        old, new = self._old.resolve(self._old.root), self._new.resolve(self._new.root)
        if isinstance(old, RecordNode) and isinstance(new, RecordNode):
            yield from self._records(old, new, "")

    def _records(self, old: RecordNode, new: RecordNode, at: str) -> Iterator[str]:
        if (old.name, new.name) in self._seen:
            return
        self._seen.add((old.name, new.name))
        by_name = {field.name: field for field in new.fields}
        for field in old.fields:
            other = by_name.get(field.name)
            if other is not None:
                yield from self._fields(field, other, joined(at, field.name))

    def _fields(self, old: FieldNode, new: FieldNode, at: str) -> Iterator[str]:
        forms = _forms(self._old, old.type)
        others = _forms(self._new, new.type)
        for kind, form in forms.items():
            if others.get(kind, form) != form:
                yield f"{at}: {form} in the body would become {others[kind]}"
        # A decoder takes the first branch that reads a string, and bytes do.
        readers = [kind for kind in others if kind in ("a string", "bytes")]
        if "a string" in forms and readers[:1] == ["bytes"]:
            yield f"{at}: text in the body would become base64"
        by_name = {other.name: other for other in _records_in(self._new, new.type)}
        for record in _records_in(self._old, old.type):
            if record.name in by_name:
                yield from self._records(record, by_name[record.name], at)


def _forms(schema: AvroSchema, node: AvroType) -> dict[str, str]:
    """Return how each kind of value at a path is written, descending into arrays and maps."""
    found: dict[str, str] = {}
    for single in schema.singles(node):
        match single:
            case Primitive(kind="long", logical=None, as_text=as_text):
                found["a long"] = "a number as text" if as_text else "a number"
            case Primitive(kind="string"):
                found["a string"] = "text"
            case Primitive(kind="bytes", logical=None):
                found["bytes"] = "base64"
            case _:
                continue
    return found


def _records_in(schema: AvroSchema, node: AvroType) -> list[RecordNode]:
    """Return the records at a path, descending into arrays, maps and unions."""
    return [single for single in schema.singles(node) if isinstance(single, RecordNode)]
