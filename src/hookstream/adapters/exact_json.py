"""Parses JSON text without rounding a number or dropping a key, or refuses it.

Whole numbers become `int`. Every other number stays text (`Numeral`) until its Avro type is known:
a double in between would round it. Invalid JSON numbers (`NaN`) and numbers that Python cannot parse
in reasonable time (5,000 digits) stay text too, so that the refusal can name their path.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, cast

from hookstream.core.model.parts import joined
from hookstream.errors import InputRefused

MAX_DEPTH: Final = 100
"""Levels of nested arrays and objects; a schema has 32 levels at most."""
_MAX_DIGITS: Final = 4300
"""Digits of the longest whole number that Python parses."""
_MAX_NAMED: Final = 20
_SHOWN: Final = 80


@dataclass(slots=True, frozen=True)
class Numeral:
    """A JSON number that is not a whole number, as it is written."""

    text: str


class _Doubled(dict[str, object]):
    """An object with a duplicate key."""

    __slots__ = ("keys_twice",)

    def __init__(self, pairs: Sequence[tuple[str, object]], keys_twice: Sequence[str]) -> None:
        super().__init__(pairs)
        self.keys_twice = keys_twice


def parse_exact(text: bytes) -> object:
    """Return the JSON value of a UTF-8 text.

    Raises:
        InputRefused: It is not JSON or not UTF-8, is nested more than `MAX_DEPTH` deep, or has a
            key twice in one object (the message says which ones, with their paths).
    """
    doubled: list[_Doubled] = []

    def as_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) == len(pairs):
            return found
        seen: set[str] = set()
        twice = dict.fromkeys(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]  # None is no
        doubled.append(_Doubled(pairs, list(twice)))
        return doubled[-1]

    decoder = json.JSONDecoder(
        object_pairs_hook=as_object,
        parse_float=Numeral,
        parse_int=_whole,
        parse_constant=Numeral,
    )
    try:
        value: object = decoder.decode(text.decode())
    except UnicodeDecodeError:
        raise InputRefused("not JSON: not UTF-8") from None
    except json.JSONDecodeError as problem:
        raise InputRefused(f"not JSON: {problem}") from None
    except RecursionError:
        raise InputRefused(_too_deep()) from None
    _check_depth(value)
    if doubled:
        twice = list(_named_twice(value))[:_MAX_NAMED]
        raise InputRefused("; ".join(f"{path}: appears twice in one object" for path in twice))
    return value


def path_part(name: str) -> str:
    """Return a key as a part of a path: unchanged if it is a plain name, else quoted and truncated."""
    if name.isascii() and name.isidentifier() and len(name) <= _SHOWN:
        return name
    return f"[{ascii(name[:_SHOWN])[:_SHOWN]}]"


def _whole(text: str) -> int | Numeral:
    return int(text) if len(text) <= _MAX_DIGITS else Numeral(text)


def _too_deep() -> str:
    return f"not taken: nested more than {MAX_DEPTH} deep"


def _check_depth(value: object) -> None:
    """Refuse a value that is nested too deep, without recursing into it."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise InputRefused(_too_deep())


def _named_twice(value: object, path: str = "") -> Iterator[str]:
    """Yield the paths of duplicate keys; within such an object, the last value of each counts."""
    if isinstance(value, list):
        for at, item in enumerate(cast("list[object]", value)):
            yield from _named_twice(item, f"{path}[{at}]")
    elif isinstance(value, dict):
        if isinstance(value, _Doubled):
            for key in value.keys_twice:
                yield joined(path, path_part(key))
        for key, item in cast("dict[str, object]", value).items():
            yield from _named_twice(item, joined(path, path_part(key)))
