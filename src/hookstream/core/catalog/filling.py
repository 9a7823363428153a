"""Expands each reader's default once, within bounds, and copies it for each record.

A default may leave out fields that have defaults themselves: 1.4 KB of a schema, lists of empty
objects within one another, became 11 million values. So the bound counts expanded values, not
written ones. Source: Apache Avro 1.12, "Complex Types" and "Unions".
"""

import math
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, TypeAlias, cast

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
    say,
)
from hookstream.core.avro.reader import MAX_NODES
from hookstream.core.catalog.promotion import ValueUnresolvable
from hookstream.core.model.json import Json
from hookstream.core.model.single import shortest

MAX_TRIED: Final = 2 * MAX_NODES
"""Values tried for one default: each value made, and each that does not match a union's branch.

A default that is written out in full needs fewer: a schema has `MAX_NODES` values in all.
"""

Tag: TypeAlias = Callable[[Union, int, object], object]
"""Tags a value with its branch of a union, given the branch's number, as a decoder does."""

_BITS: Final = {"int": 31, "long": 63}


class NoValue(Exception):
    """Raised if a default is not a value of its type; the message continues "its default"."""


@dataclass(slots=True, frozen=True)
class Filling:
    """The expansion of one default."""

    values: int
    """The number of values in it, including itself."""
    make: Callable[[], object]
    """Returns the value as a decoder would have read it; records share no list or dict of it."""


class _Room:
    """The number of values that defaults may still fill into one record."""

    __slots__ = ("left", "most")

    def __init__(self, most: int) -> None:
        self.most = self.left = most


_room: ContextVar[_Room] = ContextVar("room for defaults")
"""The budget of the record being read; concurrent threads have one each."""


def fill_at_most(most: int) -> None:
    """Begin a record and limit the values that defaults fill in, as these take no bytes of it."""
    _room.set(_Room(most))


def count_filled(values: int) -> None:
    """Count values filled into the current record.

    Raises:
        ValueUnresolvable: They exceed the record's limit.
    """
    room = _room.get()
    room.left -= values
    if room.left < 0:
        raise ValueUnresolvable("", f"defaults would fill in more than {room.most:,} values")


class Defaults:
    """Expands the defaults of a schema's fields."""

    def __init__(self, schema: AvroSchema, tag: Tag, *, unchanged: bool = False) -> None:
        """Take the schema, and the function that tags the values of its unions.

        Where `unchanged`, a default is no value unless a decoder may pass it on as it is written:
        with all fields of its records, and without bytes.
        """
        self._schema = schema
        self._tag = tag
        self._tried = 0
        self._unchanged = unchanged

    def filling(self, field: FieldNode) -> Filling:
        """Return the expansion of a field's default.

        Raises:
            NoValue: It is not a value of the field's type, or takes more than `MAX_TRIED` values.
        """
        self._tried = 0
        try:
            made = self._value(field.default, field.type)
        except RecursionError:
            raise NoValue("contains itself without end") from None
        if isinstance(made, dict | list | tuple):
            return Filling(values_in(made), lambda: _copied(made))
        return Filling(1, lambda: made)

    def _value(self, default: Json, kind: AvroType) -> object:
        self._tried += 1
        if self._tried > MAX_TRIED:
            raise NoValue(f"takes more than {MAX_TRIED:,} values to make")
        node = self._schema.resolve(kind)
        match node:
            case Union():
                return self._of_union(default, node)
            case RecordNode() if isinstance(default, dict):
                return {field.name: self._of_field(default, field) for field in node.fields}
            case Array() if isinstance(default, list):
                return [self._value(each, node.items) for each in default]
            case Map() if isinstance(default, dict):
                return {key: self._value(each, node.values) for key, each in default.items()}
            case Primitive() | Enum() | Fixed() if not (self._unchanged and _is_bytes(node)):
                return _leaf(default, node)
            case _:
                raise NoValue(f"is no value of {say(node)}")

    def _of_field(self, record: dict[str, Json], field: FieldNode) -> object:
        if field.name in record:
            return self._value(record[field.name], field.type)
        if self._unchanged or not field.has_default:
            raise NoValue(f"lacks the field {field.name}")
        return self._value(field.default, field.type)

    def _of_union(self, default: Json, union: Union) -> object:
        """Return the default as a value of the first branch that it matches, as Avro 1.12 says."""
        for number, branch in enumerate(union.branches):
            try:
                value = self._value(default, branch)
            except NoValue:
                if self._tried > MAX_TRIED:
                    raise
                continue
            return self._tag(union, number, value)
        raise NoValue("is no value of its union")


def _is_value(default: Json, kind: str) -> bool:
    """Return whether a default is a value of a primitive type, and is delivered unchanged."""
    match kind:
        case "null":
            return default is None
        case "boolean":
            return isinstance(default, bool)
        case "int" | "long":
            limit: int = 2 ** _BITS[kind]
            return type(default) is int and -limit <= default < limit
        case "float" | "double":
            return isinstance(default, int | float) and _said_again(default, kind)
        case _:
            return isinstance(default, str)


def _said_again(value: float, kind: str) -> bool:
    """Return whether a number is delivered unchanged after conversion to a float or a double."""
    if isinstance(value, bool):
        return False
    try:
        stored = float(value)
        return math.isfinite(stored) and (shortest(stored) if kind == "float" else stored) == value
    except OverflowError:
        return False


def _leaf(default: Json, node: Primitive | Enum | Fixed) -> object:
    match node:
        case Enum() if default in node.symbols:
            return default
        case Fixed() if isinstance(default, str) and len(default) == node.size:
            return _bytes_of(default)
        case Primitive(kind=kind) if _is_value(default, kind):
            if kind == "bytes":
                return _bytes_of(cast("str", default))
            return float(cast("float", default)) if kind in ("float", "double") else default
        case _:
            raise NoValue(f"is no value of {say(node)}")


def _is_bytes(node: Primitive | Enum | Fixed) -> bool:
    return isinstance(node, Fixed) or (isinstance(node, Primitive) and node.kind == "bytes")


def _bytes_of(default: str) -> bytes:
    """Map code points 0 to 255 of a default to bytes of the same values, as Avro 1.12 says."""
    try:
        return default.encode("latin-1")
    except UnicodeEncodeError:
        raise NoValue("contains a character above U+00FF, which is not a byte") from None


def values_in(made: object) -> int:
    """Return the number of values in an expanded default, or in one that is written out in full."""
    match made:
        case dict():
            return 1 + sum(map(values_in, made.values()))
        case list():
            return 1 + sum(map(values_in, made))
        case (_, inner):
            return values_in(inner)
        case _:
            return 1


def _copied(made: object) -> object:
    match made:
        case dict():
            return {key: _copied(each) for key, each in made.items()}
        case list():
            return [_copied(each) for each in made]
        case (name, inner):
            return name, _copied(inner)
        case _:
            return made
