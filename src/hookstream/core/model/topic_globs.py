"""Matches topic names with patterns in which `*` is any characters, and finds patterns that overlap."""

from collections.abc import Sequence
from fnmatch import fnmatchcase


def covers(globs: Sequence[str], topic: str) -> bool:
    """Return whether one of some globs covers a topic."""
    return any(fnmatchcase(topic, glob) for glob in globs)


def common_topic(one: str, other: str) -> str | None:
    """Return a topic that both globs cover, None if there can be none.

    Args:
        one: Text in which `*` is the only special character.
        other: Likewise.
    """
    # Two pointers over all pairs of positions, each visited once; a star takes what the other writes.
    pending: list[tuple[int, int, str]] = [(0, 0, "")]
    seen = {(0, 0)}
    while pending:
        at, beside, written = pending.pop()
        if at == len(one) and beside == len(other):
            return written or "x"
        for step in _steps(one[at : at + 1], other[beside : beside + 1]):
            moved, moved_beside, letter = step
            there = at + moved, beside + moved_beside
            if there not in seen:
                seen.add(there)
                pending.append((*there, written + letter))
    return None


def _steps(one: str, other: str) -> list[tuple[int, int, str]]:
    """Return by how much each pointer may move, and the letter that this writes."""
    steps: list[tuple[int, int, str]] = []
    if one == "*":
        steps.append((1, 0, ""))
        if other not in ("", "*"):
            steps.append((0, 1, other))
    if other == "*":
        steps.append((0, 1, ""))
        if one not in ("", "*"):
            steps.append((1, 0, one))
    if one and one == other != "*":
        steps.append((1, 1, one))
    return steps
