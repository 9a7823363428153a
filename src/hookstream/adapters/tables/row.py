"""One kind of row: what its key names, what its value says, and what both are read into."""

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
    """One kind of row, read into a `make`.

    Args:
        called: What a refusal calls it.
        make: Takes what the key names and what the fields say.
        key: The form of its key; its groups are what that names.
        strict: Whether a row in the format of a newer release is refused; else its fields decide.
        fields: What the value says. An `id` among them is the key.
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
        """Return the row's value but for its format."""
        return {"revision": 1, **self._fields.document(found)}

    def write(self, found: T) -> bytes:
        """Return the row's value."""
        return encoded(self.document(found))

    def read(self, key: str, value: bytes) -> T:
        """Return what a row says.

        Raises:
            EnvelopeUnreadable: Its key or its value cannot be read.
        """
        return self.read_object(key, row_of(key, value))

    def read_object(self, key: str, row: Mapping[str, object]) -> T:
        """Return what a row says whose value was parsed already; it raises as `read` does."""
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
                raise FieldUnreadable(f"its value is that of {values['id']!r}")
            return {}
        found = self._key.fullmatch(key)
        if found is None:
            raise FieldUnreadable(f"its key names no {list(self._key.groupindex)[-1]}")
        numbers = ("partition", "offset")
        return {n: int(text) if n in numbers else text for n, text in found.groupdict().items()}
