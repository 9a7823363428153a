"""Finds what is kept of a secret text by its id, and by the hash of the text that its bearer presents."""

import hmac
from typing import Generic, Protocol, TypeVar


class HashedRow(Protocol):
    """What is kept of a secret text: never the text."""

    @property
    def id(self) -> str:
        """The public name."""

    @property
    def hash(self) -> str:
        """SHA-256 of the text, as 64 hex digits."""


T = TypeVar("T", bound=HashedRow)


class HashedBook(Generic[T]):
    """All rows of one kind, in memory; for one thread at a time."""

    __slots__ = ("_by_hash", "_by_id")

    def __init__(self) -> None:
        self._by_id: dict[str, T] = {}
        self._by_hash: dict[str, T] = {}

    def put(self, row_id: str, row: T | None) -> None:
        """Take a row as it is now.

        Args:
            row_id: Its id.
            row: None: it was removed, or cannot be read. Then nothing is found of it: what cannot be read may
                be the end of what it was.
        """
        before = self._by_id.pop(row_id, None)
        if before is not None and self._by_hash.get(before.hash) is before:
            del self._by_hash[before.hash]
        if row is not None:
            self._by_id[row_id] = row
            self._by_hash[row.hash] = row

    def with_hash(self, presented: str) -> T | None:
        """Return the row of a text of which this is the hash, whether it is good or not."""
        found = self._by_hash.get(presented)
        # The look-up is by a hash that whoever presents a text cannot choose; the comparison takes equally long.
        if found is None or not hmac.compare_digest(
            found.hash.encode(), presented.encode("utf-8", "backslashreplace")
        ):
            return None
        return found

    def get(self, row_id: str) -> T | None:
        """Return a row by its id; None: there is none, or it cannot be read."""
        return self._by_id.get(row_id)

    def rows(self) -> list[T]:
        """Return all rows, in the order in which their newest records came."""
        return list(self._by_id.values())
