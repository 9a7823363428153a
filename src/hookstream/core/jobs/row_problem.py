"""A row of the jobs table that cannot be read is reported, never guessed at."""

import json
from typing import NamedTuple

_LONGEST = 300
"""The longest description of a problem with a row, in characters."""


class RowProblem(NamedTuple):
    """A row of the jobs table that cannot be read: a job's own, or a mark."""

    key: str
    why: str


def unreadable(key: str, why: str) -> RowProblem:
    """Return the problem of a row, its description of bounded length."""
    return RowProblem(key, why[:_LONGEST])


def json_of(key: str, value: bytes) -> object:
    """Return the JSON in a row, or a `RowProblem`."""
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as problem:
        return unreadable(key, f"it is not JSON: {problem}")
