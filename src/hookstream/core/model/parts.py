"""Problems in nested values are reported with the path to the part, at any depth.

A list or map is rebuilt item by item. That is on the path of an event: the path is put together
only where an item is refused, from the inside out, and its place is what the iterator has left.
"""

from collections.abc import Callable
from itertools import islice
from operator import length_hint
from typing import Self, TypeVar

from hookstream.errors import HookstreamError

T = TypeVar("T")

_SHOWN = 40
"""The most characters of a map key in a path."""


class Misfit(HookstreamError):
    """Raised for a part of a value. It has the part's path and the problem."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(path, why)
        self.path = path
        """The path from the root: `money.amount`, `lines[3].due`; empty for the root itself."""
        self.why = why

    def within(self, part: str) -> Self:
        """Return itself, seen from one level further out."""
        self.path = joined(part, self.path)
        return self

    def __str__(self) -> str:
        """Return its path and the reason."""
        return f"{self.path} {self.why}" if self.path else self.why


def joined(path: str, part: str) -> str:
    """Return a path with one part more at its end."""
    return f"{path}.{part}" if path and part and not part.startswith("[") else path + part


def each_item(item: Callable[[object], T], refused: type[Misfit]) -> Callable[[object], list[T]]:
    """Return a converter for lists, given the converter of an item.

    Args:
        item: Converts one item; may raise a Misfit.
        refused: The exception class for a value that is not a list.
    """

    def made(value: object) -> list[T]:
        if not isinstance(value, list):
            raise refused("", "is not an array")
        elements = iter(value)
        try:
            return [item(element) for element in elements]
        except Misfit as problem:
            raise problem.within(f"[{len(value) - length_hint(elements) - 1}]") from None

    return made


def each_value(
    item: Callable[[object], T], refused: type[Misfit]
) -> Callable[[object], dict[str, T]]:
    """Return a converter for maps that keeps the keys, given the converter of a value.

    Args:
        item: Converts one value; may raise a Misfit.
        refused: The exception class for a value that is not a map.
    """

    def made(value: object) -> dict[str, T]:
        if not isinstance(value, dict):
            raise refused("", "is not a map")
        elements = iter(value.items())
        try:
            return {key: item(element) for key, element in elements}
        except Misfit as problem:
            at = len(value) - length_hint(elements) - 1
            key = next(islice(value, at, None))
            raise problem.within(f"[{ascii(key)[:_SHOWN]}]") from None

    return made
