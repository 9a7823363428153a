"""Bounds the number of values that one byte of a record can become, from its schema alone.

A record of 4,000 `null` fields takes no bytes: in an array, each byte of an item that has one more
field becomes 4,001 values, so an event of 20 KB took 3 GB. Every repeated type is measured: at
`rate` values per byte, no item may produce more values than its bytes allow.
"""

from collections.abc import Iterator
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
    parts,
    walk,
)
from hookstream.core.catalog.filling import values_in

MAX_RATE: Final = 64
"""The most values that one byte of a record of a published schema may become."""
_HIGHEST: Final = 1 << 20
_LEAST_BYTES: Final = {"null": 0, "float": 4, "double": 8}


@dataclass(slots=True, frozen=True)
class Growth:
    """No record of a schema has more values than `base + rate * bytes`."""

    base: int
    rate: int


def growth(schema: AvroSchema) -> Growth:
    """Return the bound of a non-recursive schema."""
    rate = 1
    while rate < _HIGHEST:
        measure = _Measure(schema, rate)
        if not any(measure.unpaid()):
            return Growth(max(measure.most(schema.root), 0), rate)
        rate *= 2
    return Growth(_HIGHEST, _HIGHEST)


def too_much(schema: AvroSchema) -> list[str]:
    """Return the parts of a schema that become more than `MAX_RATE` values a byte, a sentence each.

    A default counts with all the values that it fills in: an older record has no bytes for it.
    """
    return [
        f"{item}: one byte of an item can become {values} values; at most {MAX_RATE} are allowed"
        for item, values in _Measure(schema, MAX_RATE, defaults=True).unpaid()
    ]


class _Measure:
    """Finds the most values that a type can produce beyond those that its bytes allow."""

    def __init__(self, schema: AvroSchema, rate: int, *, defaults: bool = False) -> None:
        self._schema = schema
        self._rate = rate
        self._defaults = defaults
        self._known: dict[str, int] = {}

    def unpaid(self) -> Iterator[tuple[str, int]]:
        """Yield the paths of items that exceed what their bytes allow, with their values a byte."""
        for at, node in walk(self._schema.root):
            if isinstance(node, Array | Map):
                for path, item in parts(node, at):
                    beyond = self.most(item)
                    if beyond > 0:
                        yield path, beyond + self._rate

    def most(self, node: AvroType) -> int:
        resolved = self._schema.resolve(node)
        match resolved:
            case RecordNode(name=name, fields=fields):
                if name not in self._known:
                    self._known[name] = 1 + sum(map(self._field, fields))
                return self._known[name]
            case Union(branches=branches):
                return max(map(self.most, branches)) - self._rate
            case Primitive(kind=kind):
                return 1 - self._rate * _LEAST_BYTES.get(kind, 1)
            case Fixed(size=size):
                return 1 - self._rate * size
            case Array() | Map() | Enum():
                return 1 - self._rate

    def _field(self, field: FieldNode) -> int:
        most = self.most(field.type)
        if self._defaults and field.has_default:
            return max(most, values_in(field.default))
        return most
