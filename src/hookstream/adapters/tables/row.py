"""Declares one kind of row: the form of its key, the fields of its value, and the resulting type."""

import re
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from hookstream.adapters.tables.row_json import (
    EnvelopeUnreadable,
    check_format,
    encoded,
    row_of,
)
from hookstream.core.model.row_fields import FieldKind, FieldUnreadable, RowFields, Values

T = TypeVar("T")


class Row(Generic[T]):
    """One kind of row, whose contents are passed to `make`.

    Args:
        called: Its name in error messages.
        make: Takes the groups of the key and the fields of the value.
        key: Pattern of its key, with named groups.
        strict: Whether a row in the format of a newer release is refused; otherwise only its fields count.
        fields: The fields of the value. An `id` among them equals the key.
    """

    def __init__(
        self,
        called: str,
        make: Callable[..., T],
        key: str = "",
        /,
        *,
        strict: bool = False,
        **fields: FieldKind,
    ) -> None:
        self._called = called
        self._make = make
        self._key = re.compile(key, re.DOTALL) if key else None
        self._strict = strict
        self._fields = RowFields(**fields)

    def document(self, found: object) -> Values:
        """Return the row's value without its format."""
        return {"revision": 1, **self._fields.document(found)}

    def write(self, found: T) -> bytes:
        """Return the row's value."""
        return encoded(self.document(found))

    def read(self, key: str, value: bytes) -> T:
        """Return the contents of a row.

        Raises:
            EnvelopeUnreadable: Its key or its value cannot be read.
        """
        return self.read_object(key, row_of(key, value))

    def read_object(self, key: str, row: Mapping[str, object]) -> T:
        """Return the contents of a row whose value is already parsed; raises as `read` does."""
        try:
            if self._strict:
                check_format(row)
            values = self._fields.values(row)
            return self._make(**self._named(key, values), **values)
        except FieldUnreadable as why:
            raise EnvelopeUnreadable(f"{self._called} {key!r}: {why}") from None

    def _named(self, key: str, values: Values) -> Values:
        if self._key is None:
            if values.get("id", key) != key:
                raise FieldUnreadable(f"its value is of {values['id']!r}")
            return {}
        found = self._key.fullmatch(key)
        if found is None:
            raise FieldUnreadable(f"its key names no {list(self._key.groupindex)[-1]}")
        numbers = ("partition", "offset")
        return {n: int(text) if n in numbers else text for n, text in found.groupdict().items()}
