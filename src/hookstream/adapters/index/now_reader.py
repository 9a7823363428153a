"""Reads the file of the present: waiting tier records, their counts, and the read positions."""

import heapq
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from hookstream.adapters.index.answers import (
    Cursor,
    DueFilter,
    PendingFilter,
    PendingSummary,
    TierCount,
    Whose,
    Window,
)
from hookstream.adapters.index.database import open_for_reading, snapshot
from hookstream.adapters.index.folder import Family
from hookstream.adapters.index.now_file import UNMATCHED, UNREADABLE, delivery_from
from hookstream.adapters.index.packing import Packed, delivery_of, packed_delivery
from hookstream.adapters.index.pending_summary import PendingCounter
from hookstream.core.audit.run_states import PendingRecord
from hookstream.core.model.instant import SECOND, Millis
from hookstream.core.statistics.due import DueIntervals

READING: Millis = 30 * SECOND
"""A writer that has written nothing for longer is not reading."""

_COLUMNS = "due, topic, partition, offset, at, sub, partner, reason, delivery, state"
_Row: TypeAlias = tuple[int, str, int, int, int, str, str, str, Packed, str]


class NowReader:
    """Reads the file. For one thread at a time.

    Args:
        path: The file.

    Raises:
        OtherFormat: It has another format.
        sqlite3.Error: It does not exist, or is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._db = open_for_reading(path)

    def close(self) -> None:
        """Close it."""
        self._db.close()

    def window(self, now: Millis) -> Window:
        """Return the time for which the index answers; `now` is by this machine's clock."""
        since = self._number(f"since.{Family.ATTEMPTS.prefix}")
        beat = self._number("beat") or 0
        return Window(
            since,
            self._number("read_to"),
            self._number(f"since.{Family.ASIDE.prefix}"),
            # Until it is stored for the first time, the index is being built.
            building=self._number("building") != 0,
            reading=now - beat < READING,
        )

    def asked_at(self, job_id: str) -> Millis | None:
        """Return when a job was requested; None: its row is gone."""
        return self._number(f"job.{job_id}")

    def pending(
        self, wanted: PendingFilter, after: Cursor | None, limit: int, most: int
    ) -> tuple[list[PendingRecord], Cursor | None]:
        """Return waiting records after a place in the order of due times, and where to continue.

        Args:
            wanted: The filter.
            after: The place; None: from the first on.
            limit: The most records that are returned.
            most: The most rows that are read.
        """
        found: list[PendingRecord] = []
        for looked, row in enumerate(self._rows(wanted, after), 1):
            if wanted.due_before is not None and row[0] >= wanted.due_before:
                break
            if row[5] and _selects(wanted, row):
                found.append(_record(row))
            if len(found) >= limit or looked >= most:
                return found, row[:4]
        return found, None

    def of_delivery(self, delivery_id: str) -> list[PendingRecord]:
        """Return the tier records of a delivery, including copies that moved on."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM waiting WHERE delivery = ? LIMIT 1000",
            (packed_delivery(delivery_id),),
        )
        return [_record(row) for row in rows if row[5]]

    def waiting_among(self, deliveries: Sequence[str]) -> set[str]:
        """Return which of some deliveries, a few hundred, have a tier record."""
        marks = ",".join("?" * len(deliveries))
        found = self._db.execute(
            f"SELECT DISTINCT delivery FROM waiting INDEXED BY waiting_of_delivery"
            f" WHERE delivery IN ({marks})",
            [*map(packed_delivery, deliveries)],
        )
        return {delivery_of(each) for (each,) in found}

    def has_newer(self, record: PendingRecord) -> bool:
        """Return whether a run's record has moved to another tier, which has a newer one."""
        mine = record.at, record.place
        return any(
            each.run == record.run and (each.at, each.place) > mine
            for each in self.of_delivery(record.delivery.delivery_id)
        )

    def only_counted(self, whose: Whose) -> int:
        """Return the number of records of all partners that are in no list; for a partner 1 if there are any."""
        beyond = self._db.execute("SELECT coalesce(sum(records), 0) FROM beyond").fetchone()[0]
        return int(beyond if whose.partner_id is None else min(beyond, 1))

    def tiers(self, wanted: DueFilter, due: DueIntervals) -> tuple[TierCount, ...]:
        """Count the waiting runs by tier, all at one instant."""
        with snapshot(self._db):
            return tuple(PendingCounter(self._db, wanted, due).tiers())

    def summary(self, wanted: DueFilter, due: DueIntervals, window: Window) -> PendingSummary:
        """Count the waiting runs by tier, subscription and due time, all at one instant."""
        operators = wanted.partner_id is None
        with snapshot(self._db):
            counter = PendingCounter(self._db, wanted, due)
            falls_due, later = counter.due()
            subscriptions, more = counter.subscriptions()
            return PendingSummary(
                tiers=tuple(counter.tiers()),
                due=tuple(falls_due),
                later=later,
                subscriptions=tuple(subscriptions),
                more_subscriptions=more,
                only_counted=self.only_counted(wanted),
                unmatched=self._others(UNMATCHED) if operators else 0,
                unreadable=self._others(UNREADABLE) if operators else 0,
                window=window,
            )

    def _rows(self, wanted: PendingFilter, after: Cursor | None) -> Iterator[_Row]:
        # A record that is due at a time comes after every place with an earlier one.
        first = None if wanted.due_from is None else (wanted.due_from, "", 0, -1)
        after = max((each for each in (after, first) if each is not None), default=None)
        if wanted.partner_id is None and wanted.subscriptions is None and wanted.reasons is None:
            yield from self._ordered("waiting_by_due", "1 = 1", (), after)
            return
        groups = [
            (sub, reason)
            for sub, partner, reason in self._db.execute(
                "SELECT sub, partner, reason FROM counts WHERE sub <> ''"
            )
            if _is_of(wanted, sub, partner)
            and (wanted.reasons is None or reason in wanted.reasons)
        ]
        yield from heapq.merge(
            *(
                self._ordered("waiting_of_subscription", "sub = ? AND reason = ?", group, after)
                for group in dict.fromkeys(groups)
            )
        )

    def _ordered(
        self, index: str, where: str, values: tuple[str, ...], after: Cursor | None
    ) -> Iterator[_Row]:
        query = f"SELECT {_COLUMNS} FROM waiting INDEXED BY {index} WHERE {where}"
        order = " ORDER BY due, topic, partition, offset"
        if after is None:
            return self._db.cursor().execute(query + order, values)
        return self._db.cursor().execute(
            query + " AND (due, topic, partition, offset) > (?, ?, ?, ?)" + order,
            (*values, *after),
        )

    def _others(self, reason: str) -> int:
        found = self._db.execute(
            "SELECT coalesce(sum(runs), 0) FROM counts WHERE sub = '' AND reason = ?", (reason,)
        )
        return int(found.fetchone()[0])

    def _number(self, key: str) -> int | None:
        found = self._db.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
        return None if found is None else int(found[0])


def _is_of(whose: Whose, sub: str, partner: str) -> bool:
    return whose.partner_id in (None, partner) and (
        whose.subscriptions is None or sub in whose.subscriptions
    )


def _selects(wanted: PendingFilter, row: _Row) -> bool:
    return (
        _is_of(wanted, row[5], row[6])
        and (wanted.reasons is None or row[7] in wanted.reasons)
        and (wanted.tiers is None or row[1] in wanted.tiers)
    )


def _record(row: _Row) -> PendingRecord:
    _, topic, partition, offset, at, sub, partner, _, delivery, state = row
    read = delivery_from(delivery_of(delivery), sub, partner, state)
    return PendingRecord(read, topic, partition, offset, at)
