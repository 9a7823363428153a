"""Sums the minutes of a closed hour's file, so that long windows read one row per hour.

Sums are rows of the tables of minutes, with a minute that no hour has. A closed hour's runs still change, since a
late attempt counts in the hour of its event: from then on the sums change with the minutes, in the same
transaction. The sums are computed a bounded part at a time. A number in the file is the last name with sums, so a
process that is killed in between continues there.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

WHOLE: Final = -1
"""The `minute` of a sum."""

NOBODY: Final = -1
EVERYBODY: Final = 1 << 62
"""More than the number of any name."""

_AT_ONCE: Final = 200
"""The number of names whose sums are computed at once, in some ten milliseconds."""

_RUNS: Final = (
    "INSERT OR REPLACE INTO minutes SELECT who, ?3, kind, ending, sum(runs), sum(retries) FROM minutes"
    " WHERE who > ?1 AND who <= ?2 AND minute >= 0 GROUP BY who, kind, ending"
)


def summed_up_to(db: sqlite3.Connection) -> int:
    """Return the largest number of a name up to which all sums are stored."""
    found = db.execute("SELECT value FROM state WHERE key = 'summed'").fetchone()
    return NOBODY if found is None else int(found[0])


def sum_next(db: sqlite3.Connection, after: int, counted: Sequence[str]) -> int:
    """Compute the sums of the next names, and return the last name with sums; within a transaction.

    Args:
        db: The file.
        after: The last name with sums so far.
        counted: The columns of `attempt_minutes` that are summed, in their order.
    """
    last = int(db.execute("SELECT coalesce(max(id), 0) FROM names").fetchone()[0])
    following = after + _AT_ONCE
    if following >= last:
        following = EVERYBODY
    between = after, following, WHOLE
    db.execute(_RUNS, between)
    sums = ", ".join(f"sum({each})" for each in counted)
    db.execute(
        f"INSERT OR REPLACE INTO attempt_minutes SELECT who, ?3, {sums} FROM attempt_minutes"
        " WHERE who > ?1 AND who <= ?2 AND minute >= 0 GROUP BY who",
        between,
    )
    db.execute("INSERT OR REPLACE INTO state VALUES ('summed', ?)", (following,))
    return following


def added_up(
    changes: Iterable[tuple[tuple[int, ...], Sequence[int]]], up_to: int
) -> dict[tuple[int, ...], list[int]]:
    """Return how sums change with their minutes.

    Args:
        changes: The changes of minutes: the name, the minute, the rest of the row's key, and the numbers.
        up_to: The last name with sums.
    """
    found: dict[tuple[int, ...], list[int]] = {}
    if up_to == NOBODY:
        return found
    for (who, _, *rest), numbers in changes:
        if who <= up_to:
            key = who, WHOLE, *rest
            known = found.get(key)
            found[key] = (
                [*numbers]
                if known is None
                else [one + more for one, more in zip(known, numbers, strict=True)]
            )
    return found
