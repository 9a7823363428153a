"""Counts waiting runs by tier, subscription and due time, from stored counts and without a scan."""

import sqlite3
from collections.abc import Sequence
from typing import Final

from hookstream.adapters.index.answers import (
    DueCount,
    DueFilter,
    TierCount,
    WaitingSubscription,
)
from hookstream.adapters.index.now_file import whose_dues
from hookstream.core.model.instant import MINUTE, Millis
from hookstream.core.statistics.due import DueIntervals

MOST_SUBSCRIPTIONS: Final = 50
"""The number of subscriptions that are named, those with the most waiting runs."""


class PendingCounter:
    """Counts the runs that one filter selects, within one transaction of the reader.

    Args:
        db: The file of the present.
        wanted: The filter.
        due: The intervals of due times.
    """

    def __init__(self, db: sqlite3.Connection, wanted: DueFilter, due: DueIntervals) -> None:
        self._db = db
        self._due = due
        self._names = self._counted_names(wanted)
        self._of, self._values = _condition(
            ("partner", None if wanted.partner_id is None else [wanted.partner_id]),
            ("sub", wanted.subscriptions),
            ("topic", wanted.tiers),
        )
        self._topic, self._topics = _condition(("topic", wanted.tiers))
        self._since = due.since // MINUTE

    def tiers(self) -> list[TierCount]:
        """Return the tiers with waiting runs."""
        reasons: dict[str, dict[str, int]] = {}
        for topic, reason, runs in self._db.execute(
            f"SELECT topic, reason, sum(runs) AS runs FROM counts WHERE sub <> ''{self._of}"
            " GROUP BY topic, reason ORDER BY runs DESC, reason",
            self._values,
        ):
            reasons.setdefault(topic, {})[reason] = runs
        overdue: dict[str, tuple[int, int]] = {}
        for who in self._names:
            for topic, runs, first in self._db.execute(
                "SELECT topic, sum(runs), min(minute) FROM dues WHERE who = ? AND minute < ?"
                f"{self._topic} GROUP BY topic",
                (who, self._since, *self._topics),
            ):
                before = overdue.get(topic, (0, first))
                overdue[topic] = before[0] + runs, min(before[1], first)
        beyond = self._beyond()
        return [
            TierCount(
                topic,
                sum(reasons.get(topic, {}).values()),
                overdue[topic][0] if topic in overdue else 0,
                overdue[topic][1] * MINUTE if topic in overdue else None,
                reasons.get(topic, {}),
                beyond.get(topic, 0),
            )
            for topic in sorted({*reasons, *beyond})
        ]

    def due(self) -> tuple[list[DueCount], int]:
        """Return the number of runs due within each interval, and the number due after the last."""
        width, until = self._due.width // MINUTE, self._due.until // MINUTE
        found: dict[tuple[Millis, str], int] = {}
        later = 0
        for who in self._names:
            for minute, topic, runs in self._db.execute(
                "SELECT min(minute), topic, sum(runs) FROM dues WHERE who = ? AND minute >= ?"
                f" AND minute < ?{self._topic} GROUP BY topic, minute / ?",
                (who, self._since, until, *self._topics, width),
            ):
                key = self._due.start_of(minute * MINUTE), topic
                found[key] = found.get(key, 0) + runs
            later += self._db.execute(
                "SELECT coalesce(sum(runs), 0) FROM dues WHERE who = ? AND minute >= ?"
                f"{self._topic}",
                (who, until, *self._topics),
            ).fetchone()[0]
        return [DueCount(*key, runs) for key, runs in sorted(found.items())], later

    def subscriptions(self) -> tuple[list[WaitingSubscription], int]:
        """Return the subscriptions with the most waiting runs, and the number of others."""
        grouped = f"FROM counts WHERE sub <> ''{self._of} GROUP BY sub, partner"
        rows = self._db.execute(
            f"SELECT sub, partner, sum(runs) AS runs {grouped} ORDER BY runs DESC, sub"
            f" LIMIT {MOST_SUBSCRIPTIONS}",
            self._values,
        ).fetchall()
        every = self._db.execute(
            f"SELECT count(*) FROM (SELECT 1 {grouped})", self._values
        ).fetchone()[0]
        found = [
            WaitingSubscription(
                sub, partner, runs, self._overdue(sub), self._reasons(sub, partner)
            )
            for sub, partner, runs in rows
        ]
        return found, every - len(found)

    def _overdue(self, sub: str) -> int:
        found = self._db.execute(
            f"SELECT coalesce(sum(runs), 0) FROM dues WHERE who = ? AND minute < ?{self._topic}",
            (whose_dues(None, sub), self._since, *self._topics),
        )
        return int(found.fetchone()[0])

    def _reasons(self, sub: str, partner: str) -> dict[str, int]:
        found = self._db.execute(
            "SELECT reason, sum(runs) AS runs FROM counts WHERE sub = ? AND partner = ?"
            f"{self._topic} GROUP BY reason ORDER BY runs DESC, reason",
            (sub, partner, *self._topics),
        )
        return dict(found.fetchall())

    def _beyond(self) -> dict[str, int]:
        found = self._db.execute(
            f"SELECT topic, sum(records) FROM beyond WHERE 1 = 1{self._topic} GROUP BY topic",
            self._topics,
        )
        return dict(found.fetchall())

    def _counted_names(self, wanted: DueFilter) -> list[str]:
        """Return the names under which the selected due times are counted."""
        if wanted.subscriptions is None:
            return [whose_dues(wanted.partner_id, None)]
        condition, values = _condition(
            ("partner", None if wanted.partner_id is None else [wanted.partner_id]),
            ("sub", wanted.subscriptions),
        )
        subs = self._db.execute(
            f"SELECT DISTINCT sub FROM counts WHERE 1 = 1{condition} ORDER BY sub", values
        )
        return [whose_dues(None, sub) for (sub,) in subs]


def _condition(
    *columns: tuple[str, Sequence[str] | frozenset[str] | None],
) -> tuple[str, tuple[str, ...]]:
    """Return the rest of a WHERE clause: each column is one of the values given for it, if any are."""
    where, values = "", []
    for column, given in columns:
        if given is not None:
            where += f" AND {column} IN ({','.join('?' * len(given))})"
            values += sorted(given)
    return where, tuple(values)
