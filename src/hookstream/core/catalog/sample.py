"""A realistic event of a schema, always the same one, as raw Avro values.

A field's first example is its value. Without one, the value follows from the logical type and from
the words of the field's name.
"""

import datetime as dt
import struct
import uuid
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Final, TypeAlias, TypeVar, cast

from hookstream.core.avro.nodes import (
    Array,
    AvroSchema,
    AvroType,
    Enum,
    FieldNode,
    Fixed,
    Leaf,
    Logical,
    Map,
    Primitive,
    RecordNode,
    Union,
    type_name,
)

Examples: TypeAlias = Callable[[FieldNode], Sequence[object]]
"""Returns the valid examples of a field as raw Avro values, its unions' values with branch names."""

T = TypeVar("T")

_MOMENT: Final = dt.datetime(2026, 11, 24, 8, 15, 30, 250_000, dt.UTC)
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_LATER_DAYS: Final = 14
_DAY_SECONDS: Final = 86_400
_NAMESPACE: Final = uuid.UUID("7d5f6d9e-6f2e-4b8e-9d53-6d7f2f1a4c11")
_SIGNIFICANT: Final = "12950"
"""Digits of a decimal: 129.50 with two digits after the point."""

_TEXTS: Final[Mapping[str, str]] = {
    "environment": "production",
    "currency": "EUR",
    "country": "DE",
    "language": "de",
    "city": "Hamburg",
    "postal_code": "20095",
    "email": "orders@example.com",
    "url": "https://example.com/7",
}
"""Texts by the field's name, or a word of it; the last word counts first."""
_NUMBERS: Final[Mapping[str, int]] = {
    "quantity": 500,
    "page": 1,
    "line": 1,
    "attempt": 1,
    "attempts": 5,
    "mm": 210,
    "ms": 840,
    "percent": 19,
    "bytes": 48_213,
}
_NUMBER: Final = 12
_LATER: Final = frozenset({"due", "until", "expires", "ends", "next", "dispatch"})


def sample(schema: AvroSchema, examples: Examples) -> dict[str, object]:
    """Return a record of an event type, as the writer of Avro takes it.

    Args:
        schema: The schema of an event type, not recursive.
        examples: Reads the examples of fields.
    """
    root = cast("RecordNode", schema.root)
    event_type = str(root.attributes.get("eventType"))
    made = _Sampler(schema, examples).record(root, event_type)
    for field in root.fields:
        if field.name == "event_id" and not examples(field):
            made["event_id"] = str(uuid.uuid5(_NAMESPACE, event_type))
    return made


class _Sampler:
    """Makes the values of one schema's types."""

    __slots__ = ("_examples", "_schema")

    def __init__(self, schema: AvroSchema, examples: Examples) -> None:
        self._schema = schema
        self._examples = examples

    def record(self, node: RecordNode, path: str) -> dict[str, object]:
        return {field.name: self._field(field, f"{path}.{field.name}") for field in node.fields}

    def _field(self, field: FieldNode, path: str) -> object:
        given = self._examples(field)
        return given[0] if given else self._value(field.type, path)

    def _value(self, node: AvroType, path: str) -> object:
        """Return a value.

        Args:
            node: Its type.
            path: Where it stands. Its last part is the name of the field.
        """
        match self._schema.resolve(node):
            case RecordNode() as record:
                return self.record(record, path)
            case Array(items=items):
                return [self._value(items, path)]
            case Map(values=values):
                return {"example": self._value(values, path)}
            case Union(branches=branches):
                named = [each for each in branches if type_name(each) != "null"]
                return (type_name(named[0]), self._value(named[0], path)) if named else None
            case Primitive() | Enum() | Fixed() as leaf:
                return _leaf(leaf, path)


def _leaf(node: Leaf, path: str) -> object:
    match node:
        case Enum(symbols=symbols):
            return symbols[0]
        case Fixed(logical=logical, size=size):
            return _bytes(logical, size, path)
        case Primitive(kind="bytes", logical=logical):
            return _bytes(logical, None, path)
        case Primitive(kind=kind, logical=None):
            return _plain(kind, path)
        case Primitive(logical=logical):
            return _logical(cast("Logical", logical).name, path)


def _words(path: str) -> list[str]:
    """Return the words of the field's name, the last one first."""
    return path.rpartition(".")[2].lower().split("_")[::-1]


def _plain(kind: str, path: str) -> object:
    match kind:
        case "null":
            return None
        case "boolean":
            return True
        case "int" | "long":
            return _known(_NUMBERS, path, _NUMBER)
        case "float" | "double":
            return 0.75
        case _:
            return _text(path)


def _text(path: str) -> str:
    words = _words(path)
    if len(words) > 1 and words[0] in ("id", "number", "reference"):
        return "-".join([*words[:0:-1], "000010"])
    return _known(_TEXTS, path, f"example {' '.join(words[::-1])}")


def _known(values: Mapping[str, T], path: str, otherwise: T) -> T:
    names = (path.rpartition(".")[2], *_words(path))
    return next((values[name] for name in names if name in values), otherwise)


def _logical(name: str, path: str) -> object:
    later = _LATER_DAYS if _LATER.intersection(_words(path)) else 0
    micros = (_MOMENT - _EPOCH) // dt.timedelta(microseconds=1)
    kind, _, unit = name.rpartition("-")
    match kind or name:
        case "uuid":
            return str(uuid.uuid5(_NAMESPACE, path))
        case "date":
            return micros // (_DAY_SECONDS * 1_000_000) + later
        case "time":
            micros %= _DAY_SECONDS * 1_000_000
        case _:
            micros += later * _DAY_SECONDS * 1_000_000
    return {"millis": micros // 1_000, "micros": micros, "nanos": micros * 1_000}[unit]


def _bytes(logical: Logical | None, size: int | None, path: str) -> bytes:
    match logical:
        case Logical(name="decimal", precision=precision, scale=scale):
            return _decimal(precision, scale, size)
        case Logical(name="uuid"):
            return uuid.uuid5(_NAMESPACE, path).bytes
        case Logical():
            return struct.pack("<III", 1, 2, 3_000)
        case None:
            digest = sha256(path.encode()).digest()
            wanted = len(digest) // 4 if size is None else size
            return (digest * (wanted // len(digest) + 1))[:wanted]


def _decimal(precision: int, scale: int, size: int | None) -> bytes:
    whole = _SIGNIFICANT[: min(3, precision - scale)]
    unscaled = int(whole + _SIGNIFICANT[3:].ljust(scale, "0")[:scale] or "0")
    return unscaled.to_bytes(size or unscaled.bit_length() // 8 + 1, "big", signed=True)
