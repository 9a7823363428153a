"""Requests of an hour's file by minute, and by endpoint: counted as their rows are written, in one transaction.

`attempt_minutes` has a row for each minute of a subscription, of a partner and of everything, with the number of
requests in each bucket of time. `attempt_totals` has the whole hour of each subscription.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import chain
from operator import add
from typing import Final

from hookstream.adapters.index.attempt_rows import EVERYTHING, Indexed, is_failure
from hookstream.adapters.index.hour_sums import WHOLE, added_up
from hookstream.core.model.instant import MINUTE, Millis
from hookstream.core.statistics.attempts import BUCKETS, CountedAttempts, bucket_of
from hookstream.core.statistics.overview import FailingEndpoint

_BUCKETS: Final = tuple(f"b{number}" for number in range(BUCKETS))

SCHEMA: Final = f"""
CREATE TABLE attempt_minutes (
  who INTEGER NOT NULL, minute INTEGER NOT NULL, attempts INTEGER NOT NULL, failed INTEGER NOT NULL,
  {", ".join(f"{each} INTEGER NOT NULL" for each in _BUCKETS)},
  PRIMARY KEY (who, minute)
) WITHOUT ROWID;
CREATE TABLE attempt_totals (
  sub INTEGER PRIMARY KEY, partner INTEGER NOT NULL, attempts INTEGER NOT NULL, failed INTEGER NOT NULL
);
"""

MOST_FAILING: Final = 100
"""How many endpoints an hour names at most, those with the most failed requests."""

COUNTED: Final = ("attempts", "failed", *_BUCKETS)
"""The columns that are counts."""
_ADD = (
    f"INSERT INTO attempt_minutes VALUES ({','.join('?' * (2 + len(COUNTED)))}) ON CONFLICT DO UPDATE SET "
    + ", ".join(f"{each} = {each} + excluded.{each}" for each in COUNTED)
)
_ADD_TOTAL = (
    "INSERT INTO attempt_totals VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
    " attempts = attempts + excluded.attempts, failed = failed + excluded.failed"
)
_FAILED = BUCKETS
"""Where a row in memory has the number of failed ones, behind its buckets."""


class AttemptMinutes:
    """Counts the requests of one transaction.

    Args:
        start: The start of the file's hour.
    """

    def __init__(self, start: Millis) -> None:
        self._start = start
        self._rows: dict[tuple[int, int, int], list[int]] = {}

    def add(self, sub: int, partner: int, each: Indexed) -> None:
        """Count an audit entry, if it is of a request.

        Args:
            sub: The number of its subscription.
            partner: The number of its partner.
            each: The entry.
        """
        if each.entry.outcome is None:
            return
        key = sub, partner, max(0, each.at - self._start) // MINUTE
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = [0] * (BUCKETS + 1)
        row[bucket_of(each.entry.duration_us)] += 1
        if is_failure(each.entry):
            row[_FAILED] += 1

    def forget(self) -> None:
        """Forget what was not flushed, as its transaction was not committed."""
        self._rows.clear()

    def flush(self, db: sqlite3.Connection, summed: int) -> None:
        """Write what was counted; `summed` says up to which name sums over the hour are kept."""
        whose: dict[tuple[int, int], list[int]] = {}
        totals: dict[tuple[int, int], tuple[int, int]] = {}
        for (sub, partner, minute), row in self._rows.items():
            for who in (sub, partner, EVERYTHING):
                known = whose.get((who, minute))
                whose[who, minute] = row if known is None else [*map(add, known, row)]
            attempts, failed = totals.get((sub, partner), (0, 0))
            totals[sub, partner] = attempts + sum(row[:_FAILED]), failed + row[_FAILED]
        sums = added_up(whose.items(), summed)
        db.executemany(
            _ADD,
            [
                (*key, sum(row[:_FAILED]), row[_FAILED], *row[:_FAILED])
                for key, row in chain(sorted(whose.items()), sums.items())
            ],
        )
        db.executemany(_ADD_TOTAL, [(*key, *counts) for key, counts in totals.items()])
        self._rows.clear()


def attempts_in(
    db: sqlite3.Connection, who: int, minutes: range, shift: int, width: int
) -> Iterator[tuple[int, CountedAttempts]]:
    """Yield the requests of each step that has any, with its last minute in the file.

    Args:
        db: The file.
        who: Whose.
        minutes: Which minutes of the hour.
        shift: Minutes from the interval's start to the hour's; negative if it begins within the hour.
        width: Minutes of a step.
    """
    sums = ", ".join(f"sum({each})" for each in _BUCKETS)
    for minute, failed, *buckets in db.execute(
        f"SELECT max(minute), sum(failed), {sums} FROM attempt_minutes"
        " WHERE who = ? AND minute >= ? AND minute < ? GROUP BY (minute + ?) / ?",
        (who, minutes.start, minutes.stop, shift, width),
    ):
        yield minute, CountedAttempts(0, failed, buckets)


def attempts_of_hour(db: sqlite3.Connection, who: int) -> Iterator[CountedAttempts]:
    """Yield the requests of a whole hour, if it has any; its sums are kept."""
    for failed, *buckets in db.execute(
        f"SELECT failed, {', '.join(_BUCKETS)} FROM attempt_minutes WHERE who = ? AND minute = ?",
        (who, WHOLE),
    ):
        yield CountedAttempts(0, failed, buckets)


def failing_in(
    db: sqlite3.Connection, subs: Sequence[int] | None, minutes: range | None
) -> list[FailingEndpoint]:
    """Return the endpoints with the most failed requests, at most `MOST_FAILING`.

    Args:
        db: The file.
        subs: Among these; None: among all.
        minutes: Of these minutes of the hour; None: of all.
    """
    if subs is not None:
        found = [each for sub in subs for each in _failing(db, "t.sub = ?", (sub,), minutes)]
        return sorted(found, key=lambda each: -each.failed)[:MOST_FAILING]
    return _failing(db, "1 = 1", (), minutes)


def _failing(
    db: sqlite3.Connection, where: str, values: tuple[int, ...], minutes: range | None
) -> list[FailingEndpoint]:
    if minutes is None:
        query = (
            "SELECT t.sub, t.partner, t.attempts, t.failed AS failures FROM attempt_totals t"
            f" WHERE {where} AND t.failed > 0"
        )
    else:
        values = (*values, minutes.start, minutes.stop)
        query = (
            "SELECT t.sub, t.partner, sum(m.attempts) AS attempts, sum(m.failed) AS failures"
            " FROM attempt_totals t CROSS JOIN attempt_minutes m ON m.who = t.sub"
            f" WHERE {where} AND t.failed > 0 AND m.minute >= ? AND m.minute < ?"
            " GROUP BY t.sub HAVING failures > 0"
        )
    # Names are looked up for those that are returned alone.
    named = (
        "SELECT s.name, p.name, attempts, failures"
        f" FROM ({query} ORDER BY failures DESC, t.sub LIMIT {MOST_FAILING}) found"
        " CROSS JOIN names s ON s.id = found.sub CROSS JOIN names p ON p.id = found.partner"
    )
    return [FailingEndpoint(*row) for row in db.execute(named, values)]
