"""Writes one day's file: dead letters, undecodable records and operations events."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Final, NamedTuple

from hookstream.adapters.index.database import open_for_writing, transaction
from hookstream.adapters.index.folder import IndexFile
from hookstream.core.model.instant import MINUTE, Millis
from hookstream.core.model.json import JsonObject, json_text
from hookstream.core.model.record import TopicPartition
from hookstream.core.redrive.ledger import Ledger, ResolvedBy
from hookstream.core.redrive.marks import OffsetRange, Position, Purged, RedriveSource
from hookstream.core.redrive.summary import DeadLetterSummary

# `aside_open` ends with the column of its condition: without that, each counted record is looked up too.
# Files of earlier releases lack the column there, and are read in the same way.
SCHEMA: Final = """
CREATE TABLE aside (
  source INTEGER NOT NULL, at INTEGER NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT NULL,
  of TEXT NOT NULL, partner TEXT NOT NULL, type TEXT NOT NULL, event TEXT NOT NULL,
  delivery TEXT NOT NULL, reason TEXT NOT NULL, status TEXT NOT NULL, body TEXT NOT NULL, resolved TEXT,
  PRIMARY KEY (source, at, partition, offset)
) WITHOUT ROWID;
CREATE UNIQUE INDEX aside_places ON aside (source, partition, offset);
CREATE INDEX aside_of ON aside (source, of, at, partition, offset);
CREATE INDEX aside_open ON aside (source, of, partner, reason, status, at, resolved)
  WHERE resolved IS NULL;
CREATE INDEX aside_deliveries ON aside (delivery) WHERE delivery <> '';
CREATE TABLE reasons (
  source INTEGER NOT NULL, who TEXT NOT NULL, minute INTEGER NOT NULL, reason TEXT NOT NULL,
  records INTEGER NOT NULL, open INTEGER NOT NULL,
  PRIMARY KEY (source, who, minute, reason)
) WITHOUT ROWID;
CREATE TABLE operations (
  at INTEGER NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT NULL,
  type TEXT NOT NULL, event TEXT NOT NULL, sub TEXT NOT NULL, partner TEXT NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (at, partition, offset)
) WITHOUT ROWID;
CREATE INDEX operations_of_partner ON operations (partner, at, partition, offset);
CREATE INDEX operations_of_subscription ON operations (sub, at, partition, offset);
CREATE TABLE positions (
  topic TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL, PRIMARY KEY (topic, partition)
) WITHOUT ROWID;
CREATE TABLE state (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""

NUMBER_OF: Final = {RedriveSource.DEAD_LETTERS: 0, RedriveSource.UNDECODABLE: 1}
"""How the two topics are stored."""


def whose_reasons(partner_id: str | None, subscription_id: str | None) -> str:
    """Return the name under which reasons are counted: of a subscription, a partner, or everything."""
    if subscription_id is not None:
        return f"s/{subscription_id}"
    return "" if partner_id is None else f"p/{partner_id}"


class IndexedAside(NamedTuple):
    """A dead letter or an undecodable record that was read."""

    source: RedriveSource
    summary: DeadLetterSummary


class Operation(NamedTuple):
    """An event of the operations topic that was read."""

    at: Millis
    partition: int
    offset: int
    type: str
    event_id: str
    subscription_id: str
    partner_id: str
    data: JsonObject


class AsideFile:
    """Writes one day's file. For one thread.

    Args:
        file: The file; it is created if it is missing.

    Raises:
        OtherFormat: It has another format.
        sqlite3.Error: It is damaged, or cannot be opened.
    """

    def __init__(self, file: IndexFile) -> None:
        self.file = file
        self.start = file.start
        self._db = open_for_writing(file.path, SCHEMA)
        self._reasons = ReasonTally(file.start)
        self._positions = {
            TopicPartition(topic, partition): following
            for topic, partition, following in self._db.execute("SELECT * FROM positions")
        }

    @property
    def positions(self) -> Mapping[TopicPartition, int]:
        """The next offset of each partition that was read for this day, as committed."""
        return self._positions

    def close(self) -> None:
        """Close it."""
        self._db.close()

    def state(self, key: str) -> int | None:
        """Return a number stored about the file."""
        found = self._db.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
        return None if found is None else int(found[0])

    def put_state(self, key: str, value: int) -> None:
        """Store a number about the file."""
        self._db.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (key, value))

    def add(
        self,
        aside: Iterable[IndexedAside],
        operations: Iterable[Operation],
        positions: Mapping[TopicPartition, int],
        ledger: Ledger,
    ) -> None:
        """Add records that are not in the file yet, in one transaction with their positions."""
        with self._transaction():
            for each in aside:
                row = _row(each, self.start, ledger)
                if self._db.execute(_NEW_ASIDE, row).rowcount:
                    source, at, _, _, of, partner = row[:6]
                    is_open = row[-1] is None
                    self._reasons.count((source, at, of, partner, row[9]), 1, int(is_open))
            self._db.executemany(
                "INSERT OR IGNORE INTO operations VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        max(each.at, self.start),
                        each.partition,
                        each.offset,
                        each.type,
                        each.event_id,
                        each.subscription_id,
                        each.partner_id,
                        json_text(each.data),
                    )
                    for each in operations
                ],
            )
            self._db.executemany(
                "INSERT OR REPLACE INTO positions VALUES (?, ?, ?)",
                [(*at, following) for at, following in positions.items()],
            )
        self._positions.update(positions)

    def resolve(
        self, source: RedriveSource, partition: int, ranges: Iterable[OffsetRange], by: ResolvedBy
    ) -> None:
        """Mark the records of ranges of offsets as resolved; the first resolution of a record stays."""
        given = NUMBER_OF[source], partition
        with self._transaction():
            for first, last in ranges:
                self._resolve(resolved_text(by), (*given, first, last))

    def resolve_all(self, ledger: Ledger) -> None:
        """Mark every record that the ledger resolves, after marks were missed."""
        changed: list[tuple[str, tuple[int, int, int, int]]] = []
        for source, number in NUMBER_OF.items():
            for partition, offset in self._db.execute(
                "SELECT partition, offset FROM aside WHERE source = ? AND resolved IS NULL",
                (number,),
            ):
                by = ledger.resolved_by(source, Position(partition, offset))
                if by is not None:
                    changed.append((resolved_text(by), (number, partition, offset, offset)))
        if changed:
            with self._transaction():
                for text, place in changed:
                    self._resolve(text, place)

    def _resolve(self, text: str, place: tuple[int, int, int, int]) -> None:
        """Resolve the records of a source and partition from an offset to another."""
        for key in self._db.execute(_RESOLVE, (text, *place)).fetchall():
            self._reasons.count(key, 0, -1)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            with transaction(self._db):
                yield
                self._reasons.flush(self._db)
        finally:
            self._reasons.forget()


class ReasonTally:
    """Counts the records of one transaction by minute, reason, partner and subscription.

    Args:
        start: The start of the file's day.
    """

    def __init__(self, start: Millis) -> None:
        self._start = start
        self._changes: dict[tuple[int, str, int, str], tuple[int, int]] = {}

    def count(self, key: tuple[int, int, str, str, str], records: int, still_open: int) -> None:
        """Count records.

        Args:
            key: Their source, when they were appended, the subscription or origin topic, the partner, and
                the reason.
            records: By how much their number changes.
            still_open: By how much the number of open ones changes; negative: they were resolved.
        """
        source, at, of, partner, reason = key
        minute = (at - self._start) // MINUTE
        names = ["", whose_reasons(partner, None), whose_reasons(partner, of)]
        # Undecodable records belong to no partner.
        for who in names if source == NUMBER_OF[RedriveSource.DEAD_LETTERS] else [""]:
            change = source, who, minute, reason
            known = self._changes.get(change, (0, 0))
            self._changes[change] = known[0] + records, known[1] + still_open

    def flush(self, db: sqlite3.Connection) -> None:
        """Write the counts."""
        rows = [(*key, *changes) for key, changes in sorted(self._changes.items())]
        db.executemany(_COUNT_REASON, rows)

    def forget(self) -> None:
        """Drop the counts: they are written, or their transaction was not committed."""
        self._changes.clear()


_NEW_ASIDE = "INSERT OR IGNORE INTO aside VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_RESOLVE = (
    "UPDATE aside SET resolved = ? WHERE source = ? AND partition = ? AND offset >= ? AND offset <= ?"
    " AND resolved IS NULL RETURNING source, at, of, partner, reason"
)
_COUNT_REASON = (
    "INSERT INTO reasons VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
    " records = records + excluded.records, open = open + excluded.open"
)


def _row(each: IndexedAside, start: Millis, ledger: Ledger) -> tuple[Any, ...]:
    source, summary = each
    by = ledger.resolved_by(source, summary.position)
    return (
        NUMBER_OF[source],
        max(summary.at, start),
        summary.position.partition,
        summary.position.offset,
        summary.group(source).of,
        summary.partner_id,
        summary.event_type,
        summary.event_id,
        summary.delivery_id,
        summary.reason,
        summary.last_status,
        json.dumps(asdict(summary), separators=(",", ":")),
        None if by is None else resolved_text(by),
    )


def resolved_text(by: ResolvedBy) -> str:
    """Return a resolution as it is stored."""
    return json.dumps([by.job_id, by.purged], separators=(",", ":"))


def read_resolved(text: str | None) -> ResolvedBy | None:
    """Return a stored resolution."""
    if text is None:
        return None
    job_id, purged = json.loads(text)
    return ResolvedBy(job_id, None if purged is None else Purged(*purged))


def read_summary(body: str) -> DeadLetterSummary:
    """Return a stored record."""
    fields = json.loads(body)
    return DeadLetterSummary(**{**fields, "position": Position(*fields["position"])})
