"""Writes the file of the present: the waiting tier records, and the read positions.

A tier record has a row until the retry group's commits pass it, or name it among the settled ones above.
Beyond `most` rows records are only counted, in ranges of offsets, and read again when there is room.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from hookstream.adapters.index.database import open_for_writing, transaction
from hookstream.adapters.index.packing import Packed, packed_delivery
from hookstream.core.audit.run_states import PendingRecord
from hookstream.core.model.delivery import DeferReason, Delivery, Trigger
from hookstream.core.model.instant import MINUTE, Millis
from hookstream.core.model.record import Origin, TopicPartition
from hookstream.core.offsets.group_position import GroupPosition

MOST_WAITING = 2_000_000
"""The most tier records that have rows."""

UNMATCHED, UNREADABLE = "unmatched", "unreadable"
"""Reasons of tier records without a delivery: an event still to be matched, and unreadable headers."""

SCHEMA: Final = """
CREATE TABLE waiting (
  topic TEXT NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT NULL,
  at INTEGER NOT NULL, sub TEXT NOT NULL, partner TEXT NOT NULL, reason TEXT NOT NULL,
  due INTEGER NOT NULL, delivery NOT NULL, state TEXT NOT NULL,
  PRIMARY KEY (topic, partition, offset)
) WITHOUT ROWID;
CREATE INDEX waiting_of_subscription ON waiting (sub, reason, due);
CREATE INDEX waiting_of_delivery ON waiting (delivery);
CREATE INDEX waiting_by_due ON waiting (due);
CREATE TABLE counts (
  sub TEXT NOT NULL, partner TEXT NOT NULL, reason TEXT NOT NULL, topic TEXT NOT NULL,
  runs INTEGER NOT NULL, PRIMARY KEY (sub, partner, reason, topic)
) WITHOUT ROWID;
CREATE TABLE dues (
  who TEXT NOT NULL, topic TEXT NOT NULL, minute INTEGER NOT NULL, runs INTEGER NOT NULL,
  PRIMARY KEY (who, topic, minute)
) WITHOUT ROWID;
CREATE TABLE beyond (
  topic TEXT NOT NULL, partition INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
  records INTEGER NOT NULL, PRIMARY KEY (topic, partition, first)
) WITHOUT ROWID;
CREATE TABLE positions (
  topic TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL, PRIMARY KEY (topic, partition)
) WITHOUT ROWID;
CREATE TABLE state (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
"""


def whose_dues(partner_id: str | None, subscription_id: str | None) -> str:
    """Return the name under which due times are counted: of a subscription, a partner, or everything."""
    if subscription_id is not None:
        return f"s/{subscription_id}"
    return "" if partner_id is None else f"p/{partner_id}"


class Waiting(NamedTuple):
    """A tier record that was read."""

    topic: str
    partition: int
    offset: int
    pending: PendingRecord | None
    """None: it has no delivery."""
    why: str = ""
    """Without a delivery: `UNMATCHED` or `UNREADABLE`."""

    @property
    def where(self) -> TopicPartition:
        """Its partition."""
        return TopicPartition(self.topic, self.partition)


class CountedBy(NamedTuple):
    """The key of a count of waiting records."""

    sub: str
    partner: str
    reason: str
    topic: str


class NowFile:
    """Writes the file. For one thread.

    Args:
        path: The file; it is created if it is missing.
        most: The most tier records that have rows.

    Raises:
        OtherFormat: It has another format.
        sqlite3.Error: It is damaged, or cannot be opened.
    """

    def __init__(self, path: Path, *, most: int = MOST_WAITING) -> None:
        self._db = open_for_writing(path, SCHEMA)
        self._most = most
        self._settled: dict[TopicPartition, GroupPosition] = {}
        self._changes: dict[CountedBy, int] = {}
        """The changes of the counts in the open transaction."""
        self._dues: dict[tuple[str, str, int], int] = {}
        self._rows = self._count()

    def close(self) -> None:
        """Close it."""
        self._db.close()

    def state(self, key: str) -> object:
        """Return a stored value; None: there is none."""
        found = self._db.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
        return None if found is None else found[0]

    def put_state(self, values: Mapping[str, int | str]) -> None:
        """Store values, in one transaction."""
        with self._transaction():
            self._db.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", [*values.items()])

    def waits(self, delivery: Packed) -> bool:
        """Return whether a tier record of a delivery waits, or may wait, if not all records have rows."""
        found = self._db.execute(
            "SELECT EXISTS (SELECT 1 FROM waiting WHERE delivery = ?) OR EXISTS (SELECT 1 FROM beyond)",
            (delivery,),
        )
        return bool(found.fetchone()[0])

    def positions(self) -> dict[TopicPartition, int]:
        """Return the next offset of each tier partition that was read."""
        found = self._db.execute("SELECT topic, partition, next FROM positions")
        return {TopicPartition(topic, partition): next_one for topic, partition, next_one in found}

    def add(self, records: Iterable[Waiting], positions: Mapping[TopicPartition, int]) -> None:
        """Add tier records that no commit passed, and advance the positions, in one transaction.

        A record that is there already is left unchanged.
        """
        with self._transaction():
            for record in records:
                settled = self._settled.get(record.where)
                if settled is None or not settled.settles(record.offset):
                    self._add(record)
            self._db.executemany(
                "INSERT OR REPLACE INTO positions VALUES (?, ?, ?)",
                [(*at, following) for at, following in positions.items()],
            )

    def settle(self, positions: Iterable[GroupPosition]) -> dict[TopicPartition, int]:
        """Remove the records that commits passed or name.

        Returns:
            Where to read again, since there is room now for records that were only counted.
        """
        with self._transaction():
            for each in positions:
                before = self._settled.get(each.at)
                if before is not None and before.committed == each.committed:
                    self._settled[each.at] = each
                    continue
                self._settled[each.at] = each
                self._remove(each.at, 0, each.unread_from)
                known = set(() if before is None else before.spans)
                for begin, end in each.spans:
                    if (begin, end) not in known:
                        self._remove(each.at, begin, end)
                self._pass(each)
        return self._again()

    def _add(self, record: Waiting) -> None:
        if self._rows >= self._most:
            self._beyond(record)
            return
        pending = record.pending
        row: tuple[int, str, str, str, int, Packed, str]
        if pending is None:
            row = 0, "", "", record.why, 0, "", ""
        else:
            delivery = pending.delivery
            row = (
                pending.at,
                delivery.subscription_id,
                delivery.partner_id,
                pending.reason,
                delivery.due_at or 0,
                packed_delivery(delivery.delivery_id),
                _state_of(delivery),
            )
        place = record.topic, record.partition, record.offset
        added = self._db.execute(
            "INSERT OR IGNORE INTO waiting VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*place, *row)
        )
        if added.rowcount:
            self._rows += 1
            self._change(CountedBy(row[1], row[2], row[3], record.topic), row[4] or row[0], 1)

    def _change(self, of: CountedBy, due: Millis, by: int) -> None:
        """Change a count; a record that is due at once was due at its append."""
        self._changes[of] = self._changes.get(of, 0) + by
        if of.sub:
            for who in ("", whose_dues(of.partner, None), whose_dues(None, of.sub)):
                key = who, of.topic, due // MINUTE
                self._dues[key] = self._dues.get(key, 0) + by

    def _flush(self) -> None:
        """Write the counts that changed."""
        self._db.executemany(
            _COUNT, [(*key, by) for key, by in sorted(self._changes.items()) if by]
        )
        self._db.executemany(_NO_COUNT, [key for key, by in self._changes.items() if by < 0])
        self._db.executemany(_DUE, [(*key, by) for key, by in sorted(self._dues.items()) if by])
        self._db.executemany(_NO_DUE, [key for key, by in self._dues.items() if by < 0])

    def _beyond(self, record: Waiting) -> None:
        """Count a record in the range that ends just before it, or in a new one."""
        last = self._db.execute(
            "SELECT first, last FROM beyond WHERE topic = ? AND partition = ? ORDER BY first DESC LIMIT 1",
            record.where,
        ).fetchone()
        if last is not None and last[0] <= record.offset <= last[1]:
            return
        between = (
            last is not None
            and self._db.execute(
                "SELECT 1 FROM waiting WHERE topic = ? AND partition = ? AND offset > ? LIMIT 1",
                (*record.where, last[1]),
            ).fetchone()
        )
        if last is None or between:
            self._db.execute(
                "INSERT INTO beyond VALUES (?, ?, ?, ?, 1)",
                (*record.where, record.offset, record.offset),
            )
            return
        self._db.execute(
            "UPDATE beyond SET last = ?, records = records + 1 WHERE topic = ? AND partition = ?"
            " AND first = ?",
            (record.offset, *record.where, last[0]),
        )

    def _remove(self, at: TopicPartition, begin: int, end: int) -> None:
        removed = self._db.execute(
            "DELETE FROM waiting WHERE topic = ? AND partition = ? AND offset >= ? AND offset < ?"
            " RETURNING sub, partner, reason, due, at",
            (*at, begin, end),
        ).fetchall()
        for sub, partner, reason, due, appended in removed:
            self._change(CountedBy(sub, partner, reason, at.topic), due or appended, -1)
        self._rows -= len(removed)

    def _pass(self, position: GroupPosition) -> None:
        """Drop ranges of counted records that a commit passed; if it cuts one, a share remains."""
        unread = position.unread_from
        at = position.at
        for first, last, records in self._db.execute(
            "SELECT first, last, records FROM beyond WHERE topic = ? AND partition = ? AND first < ?",
            (*at, unread),
        ).fetchall():
            self._db.execute(
                "DELETE FROM beyond WHERE topic = ? AND partition = ? AND first = ?", (*at, first)
            )
            if unread <= last:
                left = max(1, records * (last + 1 - unread) // (last + 1 - first))
                self._db.execute(
                    "INSERT INTO beyond VALUES (?, ?, ?, ?, ?)", (*at, unread, last, left)
                )

    def _again(self) -> dict[TopicPartition, int]:
        if self._rows > self._most * 9 // 10:
            return {}
        with self._transaction():
            found = self._db.execute(
                "SELECT topic, partition, min(first) FROM beyond GROUP BY topic, partition"
            ).fetchall()
            self._db.execute("DELETE FROM beyond")
        return {TopicPartition(topic, partition): first for topic, partition, first in found}

    def _count(self) -> int:
        return int(self._db.execute("SELECT coalesce(sum(runs), 0) FROM counts").fetchone()[0])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            with transaction(self._db):
                yield
                self._flush()
        except BaseException:
            self._rows = self._count()
            self._settled.clear()
            raise
        finally:
            self._changes.clear()
            self._dues.clear()


_COUNT = "INSERT INTO counts VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET runs = runs + excluded.runs"
_NO_COUNT = (
    "DELETE FROM counts WHERE sub = ? AND partner = ? AND reason = ? AND topic = ? AND runs <= 0"
)
_DUE = "INSERT INTO dues VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET runs = runs + excluded.runs"
_NO_DUE = "DELETE FROM dues WHERE who = ? AND topic = ? AND minute = ? AND runs <= 0"


def _state_of(delivery: Delivery) -> str:
    """Return a delivery's state as it is stored, without the values of other columns."""
    reason = delivery.deferred_reason
    return json.dumps(
        (
            delivery.event_type,
            delivery.event_id,
            delivery.origin,
            delivery.first_at,
            delivery.expires_at,
            delivery.attempt,
            delivery.step,
            delivery.trigger.value,
            delivery.due_at,
            delivery.deferrals,
            None if reason is None else reason.value,
            delivery.deferred_since,
            delivery.last_outcome,
            delivery.last_status,
            delivery.last_error,
            delivery.filter_asked,
            delivery.job,
            delivery.as_granted_today,
        ),
        separators=(",", ":"),
    )


def delivery_from(delivery_id: str, sub: str, partner: str, state: str) -> Delivery:
    """Return a stored delivery; its trace is not stored."""
    (
        event_type,
        event_id,
        origin,
        first_at,
        expires_at,
        attempt,
        step,
        trigger,
        due_at,
        deferrals,
        reason,
        since,
        outcome,
        status,
        error,
        filter_asked,
        job,
        today,
    ) = json.loads(state)
    return Delivery(
        delivery_id=delivery_id,
        subscription_id=sub,
        partner_id=partner,
        event_type=event_type,
        event_id=event_id,
        origin=Origin(*origin),
        first_at=first_at,
        expires_at=expires_at,
        attempt=attempt,
        step=step,
        trigger=Trigger(trigger),
        due_at=due_at,
        deferrals=deferrals,
        deferred_reason=None if reason is None else DeferReason(reason),
        deferred_since=since,
        last_outcome=outcome,
        last_status=status,
        last_error=error,
        filter_asked=filter_asked,
        job=job,
        as_granted_today=today,
    )
