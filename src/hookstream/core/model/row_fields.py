"""Row fields describe the JSON of a row once; reading and writing follow from the description.

Reading is strict for described fields and ignores all others: a newer release may have written them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any, TypeAlias

from hookstream.core.model.instant import (
    format_duration,
    from_rfc3339,
    parse_duration,
    to_rfc3339,
)
from hookstream.core.model.json import Json

Values: TypeAlias = dict[str, Any]  # type: ignore[explicit-any]  # constructor arguments by name
_Make: TypeAlias = Callable[..., object]  # type: ignore[explicit-any]  # the constructor
_Read: TypeAlias = Callable[[object], Any]  # type: ignore[explicit-any]  # the kind's value
_Write: TypeAlias = Callable[[Any], object]  # type: ignore[explicit-any]  # likewise


class FieldUnreadable(Exception):
    """Raised when a field of a row is missing or invalid; the message names the field."""


class WrongType(ValueError):
    """Raised for JSON of the wrong type; the message follows the name of the field."""


def _unchanged(value: object) -> object:
    return value


@dataclass(slots=True, frozen=True)
class FieldKind:
    """How values of one kind are represented in JSON."""

    read: _Read
    """Takes JSON, or None if the field is missing; raises ValueError if that is invalid."""
    write: _Write = _unchanged
    attribute: str = ""
    """The attribute's name if it differs from the field's."""
    absent: Json = None
    """The value of a missing field: the row was written before the field existed."""
    is_sparse: bool = False
    """Whether the field is left out where its JSON equals `absent`, so that the row stays as earlier
    releases wrote it."""

    def sparse(self, absent: Json = None) -> "FieldKind":
        """Return the kind for a field that is left out if its JSON equals `absent`."""
        return replace(self, absent=absent, is_sparse=True)

    def into(self, attribute: str) -> "FieldKind":
        """Return the kind for an attribute whose name differs from the field's."""
        return replace(self, attribute=attribute)


class RowFields:
    """The fields of one object by name, in the order of writing."""

    __slots__ = ("_reads", "_sparse", "_writes")

    def __init__(self, **kinds: FieldKind) -> None:
        self._sparse = {name: kind.absent for name, kind in kinds.items() if kind.is_sparse}
        self._reads = [
            (name, kind.attribute or name, kind.read, kind.absent) for name, kind in kinds.items()
        ]
        self._writes = [
            (name, attrgetter(kind.attribute or name), kind.write) for name, kind in kinds.items()
        ]

    @property
    def names(self) -> frozenset[str]:
        """The names of the fields."""
        return frozenset(name for name, *_ in self._reads)

    def values(self, row: Mapping[str, object]) -> Values:
        """Return the values of a row's fields by attribute.

        Raises:
            FieldUnreadable: A field is missing or invalid.
        """
        values: Values = {}
        for name, attribute, read, absent in self._reads:
            try:
                values[attribute] = read(row.get(name, absent))
            except WrongType as why:
                raise FieldUnreadable(f"`{name}` {why}") from None
            except ValueError as why:
                raise FieldUnreadable(f"`{name}`: {why}") from None
        return values

    def document(self, found: object) -> Values:
        """Return the fields as JSON, taken from an object's attributes."""
        document = {name: write(get(found)) for name, get, write in self._writes}
        for name, absent in self._sparse.items():
            if document[name] == absent:
                del document[name]
        return document

    def of(self, make: _Make) -> FieldKind:
        """Return the kind of an object with these fields; `make` is its constructor."""
        return FieldKind(lambda found: make(**self.values(_object(found))), self.document)


def parsed(parse: Callable[[str], object], write: _Write = _unchanged) -> FieldKind:
    """Return the kind of a text that `parse` accepts; `parse` raises ValueError for any other."""
    return FieldKind(lambda found: parse(_text(found)), write)


def optional(kind: FieldKind) -> FieldKind:
    """Return the kind of a value that may be missing or `null`, which is read as None."""
    return FieldKind(
        lambda found: None if found is None else kind.read(found),
        lambda value: None if value is None else kind.write(value),
    )


def listed(kind: FieldKind) -> FieldKind:
    """Return the kind of a list with items of one kind, read as a tuple."""

    def read(found: object) -> tuple[object, ...]:
        if not isinstance(found, list):
            raise WrongType("is not a list")
        try:
            return tuple(map(kind.read, found))
        except WrongType as why:
            raise WrongType(f"contains something that {why}") from None

    return FieldKind(read, lambda values: list(map(kind.write, values)))


def _text(found: object) -> str:
    if not isinstance(found, str):
        raise WrongType("is not a text")
    return found


def _whole(found: object) -> int:
    if not isinstance(found, int) or isinstance(found, bool):
        raise WrongType("is not a whole number")
    return found


def _object(found: object) -> dict[str, Json]:
    if not isinstance(found, dict):
        raise WrongType("is not an object")
    return found


TEXT = FieldKind(_text)
TEXTS = listed(TEXT)
WHOLE = FieldKind(_whole)
OBJECT = FieldKind(_object)
INSTANT = parsed(from_rfc3339, to_rfc3339)
DURATION = parsed(parse_duration, format_duration)
REMARK = FieldKind(lambda found: found if isinstance(found, str) else "")
"""A text for people. An invalid one is read as empty, so that the row stays readable."""
