"""Finds, among many patterns, the few that a body may match, without evaluating each of them.

Every pattern is indexed under one of its equality or prefix clauses; a body is looked up by its
values. The result is a set of candidates that must still be verified, unless the clause is the
whole pattern. So the cost depends on the number of indexed fields and of candidates, not on the
number of patterns. A pattern without such a clause is always a candidate.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Generic, TypeAlias, TypeVar

from hookstream.core.matching.clauses import Exactly, Scalar, StartsWith, key_of
from hookstream.core.matching.pattern import FiledKey, Filing, Path, Pattern, leaves_at
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.number import Key

T = TypeVar("T")

id_of: Callable[["Filed[T]"], str] = attrgetter("id")
"""Returns an item's id: buckets are sorted by it."""
_Key: TypeAlias = str | tuple[str, Scalar | Key]


@dataclass(slots=True, eq=False)
class Filed(Generic[T]):
    """One item of an index, with the check that remains for a body that finds it."""

    id: str
    item: T
    matches: Callable[[JsonObject], bool] | None
    """None: the look-up alone decides."""


_NOTHING: list[Json] = []


_Buckets: TypeAlias = dict[int | None, dict[_Key, list[Filed[T]]]]
"""The items of one path by the length of a prefix, None for whole values, and then by their keys.

A value costs one look-up per length in use.
"""


class PatternIndex(Generic[T]):
    """Items indexed by their patterns, each with an id. Not thread-safe; one owner changes it."""

    __slots__ = ("_always", "_fields", "_placed")

    _placed: dict[str, tuple[Filing, Filed[T]]]

    def __init__(self) -> None:
        """Start empty."""
        self._fields: dict[Path, _Buckets[T]] = {}
        self._always: list[Filed[T]] = []
        self._placed = {}

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self._placed)

    @property
    def paths(self) -> int:
        """Return how many fields of a body are looked up to find the candidates."""
        return len(self._fields)

    @property
    def is_empty(self) -> bool:
        """Return whether it has neither items nor empty buckets."""
        return not (self._placed or self._fields or self._always)

    def add(self, item_id: str, item: T, pattern: Pattern, also: Sequence[Filing] = ()) -> None:
        """Index an item under whichever of its pattern's filings has the fewest items so far.

        `also` has further filings, for conditions on its events outside the pattern.
        An item with the same id must have been discarded before.
        """
        filings = (*pattern.filings, *also)
        best = min(filings, key=self._crowd, default=())
        decided = pattern.decided_by_filing and best is filings[0]
        filed = Filed(item_id, item, None if decided else pattern.matches)
        self._placed[item_id] = best, filed
        for path, by in best:
            length, key = _place(by)
            by_key = self._fields.setdefault(path, {}).setdefault(length, {})
            insort(by_key.setdefault(key, []), filed, key=id_of)
        if not best:
            insort(self._always, filed, key=id_of)

    def discard(self, item_id: str) -> None:
        """Remove the item with this id, if there is one."""
        placed = self._placed.pop(item_id, None)
        if placed is None:
            return
        filing, filed = placed
        if not filing:
            _remove(self._always, filed)
        for path, by in filing:
            length, key = _place(by)
            buckets = self._fields[path]
            by_key = buckets[length]
            _remove(by_key[key], filed)
            if not by_key[key]:
                del by_key[key]
            if not by_key:
                del buckets[length]
            if not buckets:
                del self._fields[path]

    def candidates(self, body: JsonObject) -> list[Filed[T]]:
        """Return every item whose pattern may match, ordered by id, each once."""
        buckets: list[list[Filed[T]]] = [self._always] if self._always else []
        for path, by_length in self._fields.items():
            for key in _keys_at(body, path):
                for length, by_key in by_length.items():
                    bucket = by_key.get(
                        key if length is None or not isinstance(key, str) else key[:length]
                    )
                    if bucket:
                        buckets.append(bucket)
        if len(buckets) == 1:
            return buckets[0].copy()
        by_id = {filed.id: filed for bucket in buckets for filed in bucket}
        return sorted(by_id.values(), key=id_of)

    def all(self) -> list[Filed[T]]:
        """Return every item, ordered by id."""
        return sorted((filed for _, filed in self._placed.values()), key=id_of)

    def _crowd(self, filing: Filing) -> tuple[int, int]:
        """Return how many items share this filing's buckets; ties prefer a more varied field."""
        return sum(map(self._size, filing)), -min(self._variety(path) for path, _ in filing)

    def _size(self, filed_key: FiledKey) -> int:
        path, by = filed_key
        length, key = _place(by)
        return len(self._fields.get(path, {}).get(length, {}).get(key, ()))

    def _variety(self, path: Path) -> int:
        return len(self._fields.get(path, {}).get(None, ()))


def _place(by: Exactly | StartsWith) -> tuple[int | None, _Key]:
    """Return the prefix length and the key under which a clause is filed."""
    match by:
        case Exactly(key):
            return None, key
        case StartsWith(text):
            return len(text), text


def _keys_at(body: JsonObject, path: Path) -> Collection[_Key]:
    """Return the keys of a body's values at a path."""
    value: Json = body
    for name in path:
        value = value.get(name, _NOTHING) if type(value) is dict else _NOTHING
        if type(value) is list:
            return set(map(key_of, leaves_at(body, path))) if value else ()
    if isinstance(value, dict | list):
        return ()
    return (value if type(value) is str else key_of(value),)


def _remove(bucket: "list[Filed[T]]", filed: "Filed[T]") -> None:
    at = bisect_left(bucket, filed.id, key=id_of)
    if at < len(bucket) and bucket[at] is filed:
        del bucket[at]
