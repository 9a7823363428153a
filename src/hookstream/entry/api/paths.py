"""Looks up paths by their templates, such as `/v1/jobs/{job_id}`, and extracts their parameters."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class PathMatch(NamedTuple, Generic[T]):
    """The result of looking up a path."""

    found: T
    params: Mapping[str, str]
    """The parts of the path that the template names, decoded."""


@dataclass(slots=True)
class PathTable(Generic[T]):
    """A table of objects by method and path template."""

    _by_shape: dict[int, dict[tuple[str, ...], dict[str, tuple[str, T]]]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    """By the number of parts."""

    def put(self, method: str, path: str, thing: T) -> None:
        """Add an object.

        Raises:
            ValueError: Another one has the same method and path.
        """
        shape = _shape(path)
        methods = self._by_shape[len(shape)].setdefault(shape, {})
        if method in methods:
            raise ValueError(f"{method} {path} is in the table twice")
        methods[method] = (path, thing)

    def methods(self, segments: tuple[str, ...]) -> Mapping[str, PathMatch[T]]:
        """Return the objects of a path by their methods; empty: there is no such path.

        A literal segment precedes a parameter.

        Args:
            segments: The decoded parts of the path.
        """
        best: tuple[int, tuple[str, ...]] | None = None
        of_length = self._by_shape.get(len(segments), {})
        for shape in of_length:
            if all(part in ("", given) for part, given in zip(shape, segments, strict=True)):
                literal = sum(1 for part in shape if part)
                if best is None or literal > best[0]:
                    best = literal, shape
        if best is None:
            return {}
        return {
            method: PathMatch(thing, _params(path, segments))
            for method, (path, thing) in of_length[best[1]].items()
        }


def _shape(path: str) -> tuple[str, ...]:
    return tuple("" if part.startswith("{") else part for part in path.strip("/").split("/"))


def _params(path: str, segments: tuple[str, ...]) -> Mapping[str, str]:
    parts = path.strip("/").split("/")
    return {
        part[1:-1]: given
        for part, given in zip(parts, segments, strict=True)
        if part.startswith("{")
    }
