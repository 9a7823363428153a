"""Problems in nested values are reported with the path to the part, at any depth.

Lists and maps are rebuilt item by item. This is on the event path, so the path is built only when
an item is rejected, from the inside out.
"""

from collections.abc import Callable
from typing import Self, TypeVar

from hookstream.errors import HookstreamError

T = TypeVar("T")

_SHOWN = 40
"""The most characters of a map key in a path."""


class Misfit(HookstreamError):
    """Raised for a part of a value. It has the part's path and the problem."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path} {why}" if path else why)
        self.path = path
        """The path from the root: `money.amount`, `lines[3].due`; empty for the root itself."""
        self.why = why

    def within(self, name: str) -> Self:
        """Return the same problem with the path of the enclosing value."""
        joint = "" if not self.path or self.path[0] == "[" else "."
        return type(self)(f"{name}{joint}{self.path}", self.why)


def each_item(item: Callable[[object], T], refused: type[Misfit]) -> Callable[[object], list[T]]:
    """Return a converter for lists, given the converter of an item.

    Args:
        item: Converts one item; may raise a Misfit.
        refused: The exception class for a value that is not a list.
    """

    def made(value: object) -> list[T]:
        if not isinstance(value, list):
            raise refused("", "is not an array")
        found: list[T] = []
        try:
            for element in value:
                found.append(item(element))  # noqa: PERF401  its length names what failed
        except Misfit as problem:
            raise problem.within(f"[{len(found)}]") from None
        return found

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
        found: dict[str, T] = {}
        key = ""
        try:
            for key, element in value.items():
                found[key] = item(element)
        except Misfit as problem:
            raise problem.within(f"[{ascii(key)[:_SHOWN]}]") from None
        return found

    return made
