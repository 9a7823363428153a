"""Yields the rows of any number of subscriptions in an hour's file, the newest first.

The indexes begin with the subscription. For few subscriptions, their streams are merged; each takes a seek and
its own steps. For many, a slice of time is read for all of them together, then the one before it, and so on: by
the counts per minute a slice has some hundred rows, and it is longer after fewer rows than expected.
"""

import heapq
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple, TypeAlias

from hookstream.adapters.index.attempt_rows import EVERYTHING
from hookstream.core.model.instant import HOUR, MINUTE, Millis
from hookstream.core.statistics.life import Ending

Row: TypeAlias = tuple[Any, ...]
"""A row, which begins with the columns of the order."""

FEW: Final = 20
"""Up to so many subscriptions, streams are merged."""

_ROWS: Final = 100
"""The number of rows of all subscriptions in the first slice, by the counts."""
_LARGEST: Final = 1_024
"""The largest multiple of that, if few rows are found."""
_MOST: Final = 1_000
"""The number of rows that are read at once."""


class ListedRows(NamedTuple):
    """A kind of rows and their order."""

    table: str
    """The table with the index that is used."""
    where: str
    """The condition that every row meets."""
    order: tuple[str, ...]
    """The columns of the order, different for any two rows; the first three are the place."""
    rest: str
    """The other columns that are read."""
    counts: str
    """The query for the number of these rows by minute, of all subscriptions."""
    is_exact: bool
    """Whether that number is exact, not approximate: then minutes without rows are skipped."""

    @property
    def columns(self) -> str:
        """All columns that are read."""
        return ", ".join([*(f"t.{each}" for each in self.order), self.rest])


_ATTEMPTS = ListedRows(
    "attempts AS t INDEXED BY of_subscription",
    "1",
    ("at", "partition", "offset"),
    "t.shape, t.row",
    f"SELECT minute, attempts FROM attempt_minutes WHERE who = {EVERYTHING} AND minute >= 0",
    is_exact=False,
)
_FAILURES = _ATTEMPTS._replace(
    table="attempts AS t INDEXED BY failures",
    where="t.failed = 1",
    counts=_ATTEMPTS.counts.replace(" attempts ", " failed "),
)
_LIVES = ListedRows(
    "lives AS t",
    "1",
    ("at", "partition", "offset", "sub", "topic", "job"),
    "t.state, t.attempts, t.delivery, t.newest_after, t.newest_took, t.newest_partition,"
    " t.newest_offset",
    f"SELECT minute, sum(runs) FROM minutes WHERE who = {EVERYTHING} AND minute >= 0 AND runs > 0"
    " GROUP BY minute",
    is_exact=True,
)


def kind_of_attempts(*, failures: bool) -> ListedRows:
    """Return the rows of attempts, or only of failed ones."""
    return _FAILURES if failures else _ATTEMPTS


@cache
def kind_of_runs(endings: frozenset[Ending] = frozenset(Ending)) -> ListedRows:
    """Return the rows of the runs with one of some endings."""
    if endings == frozenset(Ending):
        return _LIVES
    among = ", ".join(str(int(each)) for each in sorted(endings))
    counts = _LIVES.counts.replace("AND minute", f"AND ending IN ({among}) AND minute")
    where = f"(t.state & 7) IN ({among})"
    if max(endings, default=Ending.OPEN) >= Ending.DELIVERED:
        return _LIVES._replace(where=where, counts=counts)
    table, where = "lives AS t INDEXED BY unfinished", f"(t.state & 7) < 4 AND {where}"
    return _LIVES._replace(table=table, where=where, counts=counts)


def newest_first(
    db: sqlite3.Connection,
    kind: ListedRows,
    subs: Sequence[int] | None,
    before: tuple[int, ...] | None,
    *,
    including: bool,
) -> Iterator[Row]:
    """Yield rows.

    Args:
        db: The file.
        kind: The kind of rows.
        subs: The numbers of subscriptions; None: all.
        before: Only rows before this place, whose time is relative to the hour's start.
        including: Also rows at it.
    """
    counts = dict(db.execute(kind.counts).fetchall())
    if kind.is_exact and not counts:
        return iter(())
    if subs is None or len(subs) > FEW:
        return _sliced(db, kind, subs, before, counts, including=including)
    streams = [_stream(db, kind, sub, before, including=including) for sub in subs]
    return streams[0] if len(streams) == 1 else heapq.merge(*streams, reverse=True)


def _stream(
    db: sqlite3.Connection,
    kind: ListedRows,
    sub: int,
    before: tuple[int, ...] | None,
    *,
    including: bool,
) -> Iterator[Row]:
    condition, values = _condition(kind, before, including=including)
    return db.cursor().execute(
        f"SELECT {kind.columns} FROM {kind.table} WHERE {kind.where} AND t.sub = ?{condition}"
        f" ORDER BY {_ordered(kind)}",
        (sub, *values),
    )


def _sliced(
    db: sqlite3.Connection,
    kind: ListedRows,
    subs: Sequence[int] | None,
    before: tuple[int, ...] | None,
    counts: Mapping[int, int],
    *,
    including: bool,
) -> Iterator[Row]:
    whose = "SELECT DISTINCT sub AS who FROM owners"
    if subs is not None:
        whose = "SELECT value AS who FROM json_each(?)"
    named = () if subs is None else (json.dumps(subs),)
    # A place may be of any later hour: the time in between is skipped.
    end = HOUR if before is None else min(HOUR, before[0] + 1)
    times = 1
    while end > 0:
        if kind.is_exact and not counts.get((end - 1) // MINUTE):
            end = (end - 1) // MINUTE * MINUTE
            continue
        start = _start(counts, end, _ROWS * times, passes_over=not kind.is_exact)
        condition, values = _condition(kind, before, including=including)
        rows = db.execute(
            f"SELECT {kind.columns} FROM ({whose}) s CROSS JOIN {kind.table} ON t.sub = s.who"
            f" WHERE {kind.where} AND t.at >= ? AND t.at < ?{condition}"
            f" ORDER BY {_ordered(kind)} LIMIT ?",
            (*named, start, end, *values, _MOST),
        ).fetchall()
        yield from rows
        if len(rows) == _MOST:
            before, including = rows[-1][: len(kind.order)], False
            continue
        end = start
        if len(rows) < _ROWS // 2:
            times = min(2 * times, _LARGEST)


def _start(counts: Mapping[int, int], end: Millis, rows: int, *, passes_over: bool) -> Millis:
    """Return the start of a slice with so many rows, by the counts per minute.

    Args:
        counts: The counts.
        end: The slice's end.
        rows: The number of rows.
        passes_over: Whether a minute without a count may be in it.
    """
    left = float(rows)
    while end > 0:
        minute = (end - 1) // MINUTE
        start = minute * MINUTE
        expected = counts.get(minute, 0) * (end - start) / MINUTE
        if not expected and not passes_over:
            return end
        if expected > left:
            return min(end - 1, end - int((end - start) * left / expected))
        left -= expected
        end = start
    return 0


def _condition(
    kind: ListedRows, before: tuple[int, ...] | None, *, including: bool
) -> tuple[str, tuple[int, ...]]:
    """Return the condition that a row comes before a place, and its values."""
    if before is None:
        return "", ()
    columns = ", ".join(f"t.{each}" for each in kind.order[: len(before)])
    sign = "<=" if including else "<"
    return f" AND ({columns}) {sign} ({', '.join('?' * len(before))})", before


def _ordered(kind: ListedRows) -> str:
    return ", ".join(f"t.{each} DESC" for each in kind.order)
