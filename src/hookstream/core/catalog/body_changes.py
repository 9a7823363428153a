"""Finds what a revision would change in the JSON that partners of its version receive.

Avro resolution is more lenient than a partner: a string can be read as bytes, yet the field's text
becomes base64; `"json": "string"` is unknown to Avro, yet it turns a number into text.
"""

from collections.abc import Iterator, Mapping

from hookstream.core.avro.nodes import AvroSchema, AvroType, Primitive
from hookstream.core.avro.reader import read_schema
from hookstream.core.catalog.compatibility import carried_fields
from hookstream.core.model.json import Json


def body_changes(old: Json, new: Json) -> list[str]:
    """Return the common fields whose JSON would look different, one sentence each.

    A field is compared with the one that carries it, by name or by an alias in `old`. Ignored are
    fields that only one of the two has, and numbers that are written as a whole number in one and
    with a fraction in the other.

    Raises:
        SchemaRefused: One of the two is not a valid Avro schema.
    """
    before, after = read_schema(old), read_schema(new)
    return [
        f"{at}: {change}"
        for at, field, other in carried_fields(before, after)
        if other is not None
        for change in _changes(_forms(before, field.type), _forms(after, other.type))
    ]


def _changes(forms: Mapping[str, str], others: Mapping[str, str]) -> Iterator[str]:
    for kind, form in forms.items():
        if others.get(kind, form) != form:
            yield f"{form} in the body would become {others[kind]}"
    # A decoder takes the first branch that reads a string, and bytes do.
    readers = [kind for kind in others if kind in ("a string", "bytes")]
    if "a string" in forms and readers[:1] == ["bytes"]:
        yield "text in the body would become base64"


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
