"""Bounds the number of values that one byte of a record can become, from its schema alone.

A record of 4,000 `null` fields takes no bytes: in an array, each byte of an item that has one more
field becomes 4,001 values, so an event of 20 KB took 3 GB. Every repeated type is measured: at
`rate` values per byte, no item may produce more values than its bytes allow.
"""

from dataclasses import dataclass
from typing import Final

from hookstream.core.avro.nodes import (
    Array,
    AvroSchema,
    AvroType,
    Enum,
    FieldNode,
    Fixed,
    Map,
    Primitive,
    RecordNode,
    Union,
)
from hookstream.core.model.json import Json

MAX_RATE: Final = 64
"""The most values that one byte of a record of a published schema may become."""
_HIGHEST: Final = 1 << 20
_LEAST_BYTES: Final = {"null": 0, "float": 4, "double": 8}


@dataclass(slots=True, frozen=True)
class Growth:
    """No record of a schema holds more values than `base + rate * bytes`."""

    base: int
    rate: int


def growth(schema: AvroSchema) -> Growth:
    """Return the bound of a non-recursive schema."""
    rate = 1
    while rate < _HIGHEST:
        measure = _Measure(schema, rate)
        base = measure.most(schema.root)
        if not measure.unpaid:
            return Growth(max(base, 0), rate)
        rate *= 2
    return Growth(_HIGHEST, _HIGHEST)


def too_much(schema: AvroSchema) -> list[str]:
    """Return the parts of a schema that become more than `MAX_RATE` values a byte, a sentence each.

    A default counts with all the values that it fills in: an older record has no bytes for it.
    """
    measure = _Measure(schema, MAX_RATE, defaults=True)
    measure.most(schema.root)
    return [
        f"{where or 'the schema'}: one byte of an item can become {values} values; at most"
        f" {MAX_RATE} are allowed"
        for where, values in measure.unpaid
    ]


class _Measure:
    """Finds the most values that a type can produce beyond those that its bytes allow."""

    __slots__ = ("_defaults", "_known", "_rate", "_schema", "unpaid")

    def __init__(self, schema: AvroSchema, rate: int, *, defaults: bool = False) -> None:
        self._schema = schema
        self._rate = rate
        self._defaults = defaults
        self._known: dict[str, int] = {}
        self.unpaid: list[tuple[str, int]] = []
        """Paths at which an item exceeds what its bytes allow, each with the values per byte."""

    def most(self, node: AvroType, where: str = "") -> int:
        resolved = self._schema.resolve(node)
        match resolved:
            case RecordNode():
                return self._record(resolved, where)
            case Array(items=item):
                self._item(item, f"{where}[]")
                return 1 - self._rate
            case Map(values=item):
                self._item(item, f"{where}{{}}")
                return 1 - self._rate
            case Union(branches=branches):
                return max(self.most(branch, where) for branch in branches) - self._rate
            case Primitive(kind=kind):
                return 1 - self._rate * _LEAST_BYTES.get(kind, 1)
            case Fixed(size=size):
                return 1 - self._rate * size
            case Enum():
                return 1 - self._rate

    def _record(self, record: RecordNode, where: str) -> int:
        known = self._known.get(record.name)
        if known is not None:
            return known
        found = 1 + sum(
            self._field(field, f"{where}.{field.name}" if where else field.name)
            for field in record.fields
        )
        self._known[record.name] = found
        return found

    def _field(self, field: FieldNode, where: str) -> int:
        most = self.most(field.type, where)
        if self._defaults and field.has_default:
            return max(most, values_of(field.default))
        return most

    def _item(self, item: AvroType, where: str) -> None:
        beyond = self.most(item, where)
        if beyond > 0:
            self.unpaid.append((where, beyond + self._rate))


def values_of(default: Json) -> int:
    """Return the number of values in a default that is written out in full, as `lint` requires."""
    match default:
        case dict():
            return 1 + sum(map(values_of, default.values()))
        case list():
            return 1 + sum(map(values_of, default))
        case _:
            return 1
