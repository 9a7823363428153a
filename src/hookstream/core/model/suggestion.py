"""Suggestions for names that do not exist."""

from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST = 200
_MOST = 20_000
_SHORTEST_PREFIX = 2
_LIKENESS = 0.65
"""How alike two names are at least, from 0 to 1: `state` is not meant as `template`."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ` (did you mean …?)` with the nearest known name; empty if none is near.

    Near means: different case only, a common first word (`prod`, `production`), or a difference of a
    few letters.
    """
    asked = name[:_LONGEST].lower()
    lowered = {each.lower(): each for each in sorted(known)[:_MOST]}
    found = asked if asked in lowered else ""
    if not found and len(asked) >= _SHORTEST_PREFIX:
        alike = (
            each for each in lowered if each.startswith(asked) or asked.startswith(f"{each}.")
        )
        found = min(alike, key=len, default="")
    if not found:
        found = next(iter(get_close_matches(asked, lowered, n=1, cutoff=_LIKENESS)), "")
    return f" (did you mean {lowered[found]}?)" if found and lowered[found] != name else ""
