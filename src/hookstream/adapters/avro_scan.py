"""Counts what decoding a record would make, by walking over its bytes, and stops at a bound.

The library that decodes cannot be told to stop. So a record that could hold more values than are
taken is walked first: nothing is made of it, texts are stepped over, and the walk ends at the bound
or where the bytes do. What is malformed is left to the decoder, which stops where the walk did.
"""

from collections.abc import Callable
from typing import TypeAlias

from hookstream.core.model.avro import (
    Array,
    AvroSchema,
    AvroType,
    Enum,
    Fixed,
    Map,
    Primitive,
    Record,
    Union,
)

Walk: TypeAlias = Callable[[bytes, int, "Count"], int]
"""Steps over one value: its bytes, where it begins, the count; returns where it ends."""


class TooMuch(Exception):
    """Raised within a walk where the bound is passed."""


class _Malformed(Exception):
    """Raised within a walk where the bytes are none of the schema."""


class Count:
    """What a record holds so far."""

    __slots__ = ("most", "values")

    def __init__(self, most: int) -> None:
        """Stop above `most` values."""
        self.most = most
        self.values = 0

    def add(self, values: int) -> None:
        """Count values.

        Raises:
            TooMuch: There are more than are taken.
        """
        self.values += values
        if self.values > self.most:
            raise TooMuch


def compile_walk(schema: AvroSchema) -> Walk:
    """Return what walks over one record of a schema that is not recursive."""
    return _Compiler(schema).walk(schema.root)


def holds_more(walk: Walk, value: bytes, body_at: int, most: int) -> bool:
    """Tell whether a record holds more than `most` values, as far as it can be read."""
    try:
        walk(value, body_at, Count(most))
    except TooMuch:
        return True
    except (IndexError, _Malformed):
        return False
    return False


class _Compiler:
    __slots__ = ("_known", "_schema")

    def __init__(self, schema: AvroSchema) -> None:
        self._schema = schema
        self._known: dict[str, Walk] = {}

    def walk(self, node: AvroType) -> Walk:  # noqa: C901  one kind a case
        resolved = self._schema.resolve(node)
        match resolved:
            case Primitive(kind="null"):
                return _nothing
            case Primitive(kind="boolean"):
                return _so_many(1)
            case Primitive(kind="float"):
                return _so_many(4)
            case Primitive(kind="double"):
                return _so_many(8)
            case Primitive(kind="bytes" | "string"):
                return _text
            case Primitive() | Enum():
                return _number
            case Fixed(size=size):
                return _so_many(size)
            case Array(items=items):
                return _blocks(self.walk(items), keyed=False)
            case Map(values=values):
                return _blocks(self.walk(values), keyed=True)
            case Union(branches=branches):
                return _union([self.walk(branch) for branch in branches])
            case Record():
                return self._record(resolved)

    def _record(self, record: Record) -> Walk:
        known = self._known.get(record.name)
        if known is not None:
            return known
        parts = [self.walk(field.type) for field in record.fields]
        fields = len(parts)

        def walk(data: bytes, at: int, count: Count) -> int:
            count.add(fields)
            for part in parts:
                at = part(data, at, count)
            return at

        self._known[record.name] = walk
        return walk


def _nothing(_: bytes, at: int, __: Count) -> int:
    return at


def _so_many(size: int) -> Walk:
    def walk(data: bytes, at: int, _: Count) -> int:
        if at + size > len(data):
            raise _Malformed
        return at + size

    return walk


def _number(data: bytes, at: int, _: Count) -> int:
    while data[at] & 0x80:
        at += 1
    return at + 1


def _long(data: bytes, at: int) -> tuple[int, int]:
    shift = found = 0
    while True:
        byte = data[at]
        at += 1
        found |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004
            return (found >> 1) ^ -(found & 1), at
        shift += 7
        if shift > 63:  # noqa: PLR2004
            raise _Malformed


def _text(data: bytes, at: int, _: Count) -> int:
    size, at = _long(data, at)
    if not 0 <= size <= len(data) - at:
        raise _Malformed
    return at + size


def _blocks(item: Walk, *, keyed: bool) -> Walk:
    def walk(data: bytes, at: int, count: Count) -> int:
        while True:
            items, at = _long(data, at)
            if items == 0:
                return at
            if items < 0:
                items = -items
                _, at = _long(data, at)
            for _ in range(items):
                count.add(1)
                if keyed:
                    at = _text(data, at, count)
                at = item(data, at, count)

    return walk


def _union(branches: list[Walk]) -> Walk:
    def walk(data: bytes, at: int, count: Count) -> int:
        number, at = _long(data, at)
        if not 0 <= number < len(branches):
            raise _Malformed
        return branches[number](data, at, count)

    return walk
