"""Counts the values that decoding a record would create, by walking over its bytes, up to a limit.

The decoding library has no limit of its own. So a record that could exceed the limit is walked
first: nothing is created, texts are skipped, and the walk ends at the limit or at the end of the
bytes. Malformed bytes are refused here: after some of them (a number of eleven bytes, a block of
-2^63 items) the library continues, and would create values that the walk did not count.
"""

from collections.abc import Callable
from typing import Final, TypeAlias

from hookstream.core.avro.nodes import (
    Array,
    AvroSchema,
    Enum,
    Fixed,
    Leaf,
    Map,
    Primitive,
    RecordNode,
    SchemaCompiler,
    Union,
)

Walk: TypeAlias = Callable[[bytes, int, "ValueCount"], int]
"""Walks over one value, given the bytes, its start and the count; returns its end."""

_SIZES: Final = {"null": 0, "boolean": 1, "float": 4, "double": 8}
"""Bytes of the primitive types of fixed size."""
_MORE: Final = 0x80
"""The bit of a number's byte that announces another byte; the other seven are the number's."""
_LONGEST: Final = 10
"""Bytes of a number of 64 bits."""
_ENDS_EARLY: Final = "the record ends before its last field does"
_TOO_LONG: Final = "a number has more than 64 bits"


class TooMuch(Exception):
    """Raised by a walk that exceeds the limit."""


class Malformed(Exception):
    """Raised if the bytes do not match the schema; the message has the reason and the position."""

    def __init__(self, why: str, near: int) -> None:
        super().__init__(f"{why} (near byte {near})")


class ValueCount:
    """The number of values so far."""

    __slots__ = ("most", "values")

    def __init__(self, most: int) -> None:
        """Stop above `most` values."""
        self.most = most
        self.values = 0

    def add(self, values: int) -> None:
        """Count values.

        Raises:
            TooMuch: The limit is exceeded.
        """
        self.values += values
        if self.values > self.most:
            raise TooMuch


def compile_walk(schema: AvroSchema) -> Walk:
    """Return the walk over one record of a non-recursive schema."""
    return _Walks(schema).make(schema.root)


def holds_more(walk: Walk, value: bytes, body_at: int, most: int) -> bool:
    """Return whether a record has more than `most` values.

    Raises:
        Malformed: Its bytes do not match the schema.
    """
    try:
        walk(value, body_at, ValueCount(most))
    except TooMuch:
        return True
    except IndexError:
        raise Malformed(_ENDS_EARLY, len(value)) from None
    return False


class _Walks(SchemaCompiler[Walk]):
    """Compiles the walks over the values of a schema's types."""

    def leaf(self, node: Leaf) -> Walk:
        match node:
            case Fixed(size=size):
                return _so_many(size)
            case Primitive(kind="bytes" | "string"):
                return _text
            case Primitive(kind=kind) if kind in _SIZES:
                return _so_many(_SIZES[kind])
            case Primitive() | Enum():
                return _number

    def array(self, node: Array) -> Walk:
        return _blocks(self.make(node.items), keyed=False)

    def map(self, node: Map) -> Walk:
        return _blocks(self.make(node.values), keyed=True)

    def union(self, node: Union) -> Walk:
        return _union([self.make(branch) for branch in node.branches])

    def record(self, node: RecordNode) -> Walk:
        parts = [self.make(field.type) for field in node.fields]
        fields = len(parts)

        def walk(data: bytes, at: int, count: ValueCount) -> int:
            count.add(fields)
            for part in parts:
                at = part(data, at, count)
            return at

        return walk


def _so_many(size: int) -> Walk:
    def walk(data: bytes, at: int, _: ValueCount) -> int:
        if at + size > len(data):
            raise Malformed(_ENDS_EARLY, at)
        return at + size

    return walk


def _number(data: bytes, at: int, _: ValueCount | None = None) -> int:
    end = at
    while data[end] & _MORE:
        end += 1
    if end - at >= _LONGEST:
        raise Malformed(_TOO_LONG, at)
    return end + 1


def _long(data: bytes, at: int) -> tuple[int, int]:
    """Return a number and its end."""
    end = _number(data, at)
    found = 0
    for byte in reversed(data[at:end]):
        found = found << 7 | byte & ~_MORE
    if found >> 64:
        raise Malformed(_TOO_LONG, at)
    return (found >> 1) ^ -(found & 1), end


def _text(data: bytes, at: int, _: ValueCount) -> int:
    size, at = _long(data, at)
    if not 0 <= size <= len(data) - at:
        raise Malformed(_ENDS_EARLY, at)
    return at + size


def _blocks(item: Walk, *, keyed: bool) -> Walk:
    def walk(data: bytes, at: int, count: ValueCount) -> int:
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
    def walk(data: bytes, at: int, count: ValueCount) -> int:
        number, at = _long(data, at)
        if not 0 <= number < len(branches):
            raise Malformed("a union names a branch that its schema does not have", at)
        return branches[number](data, at, count)

    return walk
