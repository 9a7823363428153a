"""Rows of an hour's file that belong to some subscriptions, the newest first, however many subscriptions those are.

The indexes begin with the subscription. Of few, their streams are merged; each is a seek and steps of our own. Of
many, a slice of time is read of all of them together, then the one before it, and so on: a slice is as long as
the counts by minute say that some hundred rows are in it, and longer where fewer were found than expected.
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
"""Begins with the columns of its order."""

FEW: Final = 20
"""Of up to so many subscriptions, streams are merged."""

_ROWS: Final = 100
"""How many rows of everybody a slice has at first, as the counts say."""
_LARGEST: Final = 1_024
"""How many times as many it has at most, where little is found."""
_MOST: Final = 1_000
"""How many rows are read at once."""


class ListedRows(NamedTuple):
    """Which rows, and in which order."""

    table: str
    """With the index that is used."""
    where: str
    """Which of its rows; each is."""
    order: tuple[str, ...]
    """The columns of the order, which no two rows have in common; the first three are their place."""
    rest: str
    """Its other columns that are read."""
    counts: str
    """Asks for the number of these rows by minute, of everybody."""
    is_exact: bool
    """Whether it is exact, and not only nearly: then minutes without rows are passed over."""

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
    """Return the rows of attempts, or of those alone that failed."""
    return _FAILURES if failures else _ATTEMPTS


@cache
def kind_of_runs(endings: frozenset[Ending] = frozenset(Ending)) -> ListedRows:
    """Return the rows of the runs that have ended in one of some ways."""
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
        kind: Which.
        subs: The numbers of subscriptions; None: all.
        before: Only what comes before this place, whose time is relative to the hour's start.
        including: Also what is at it.
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
    # A place may be of any later hour: what lies between is not walked through.
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
    """Return the start of a slice that has so many rows, as the counts by minute say.

    Args:
        counts: They.
        end: Its end.
        rows: How many.
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
