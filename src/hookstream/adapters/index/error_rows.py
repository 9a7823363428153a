"""Stores errors in an hour's file by pattern: the subscription, their number and their deliveries."""

import hashlib
import heapq
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from hookstream.adapters.index.packing import Packed
from hookstream.core.audit.entry import AuditEntry
from hookstream.core.failures.distinct import HASH_BYTES, Distinct
from hookstream.core.failures.groups import Errors, SeenErrors
from hookstream.core.model.instant import Millis
from hookstream.core.statistics.errors import (
    MOST_PATTERNS,
    OTHERS,
    ErrorPattern,
    Fingerprint,
    fingerprint_of,
)
from hookstream.core.statistics.life import is_test

SCHEMA: Final = """
CREATE TABLE errors (
  sub INTEGER NOT NULL, partner INTEGER NOT NULL,
  outcome TEXT NOT NULL, status INTEGER NOT NULL, text TEXT NOT NULL,
  count INTEGER NOT NULL, first_at INTEGER NOT NULL, last_at INTEGER NOT NULL,
  example TEXT NOT NULL, delivery TEXT NOT NULL, deliveries BLOB NOT NULL,
  PRIMARY KEY (sub, partner, outcome, status, text)
) WITHOUT ROWID;
CREATE TABLE successes (sub INTEGER PRIMARY KEY, at INTEGER NOT NULL);
"""

SeenRow: TypeAlias = tuple[str, str, str, int, str, int, Millis, Millis, str, str, bytes]
"""Subscription, partner, outcome, status or 0, text; count, first and last time, example and its delivery; hashes."""

PatternRow: TypeAlias = tuple[str, str, int, str, int, Millis, Millis, str, str]
"""Subscription, outcome, status or 0, text; count, first and last time, example and its delivery."""

MOST_IN_HOUR = 5_000
"""The most error patterns that an hour distinguishes; further ones of a subscription count as `OTHERS`."""


@dataclass(slots=True)
class _Gathered:
    """Errors of a batch with the same pattern."""

    first_at: Millis
    last_at: Millis
    example: str
    delivery: str
    count: int = 0
    hashes: set[int] = field(default_factory=set)

    def take(self, entry: AuditEntry, delivery: Packed) -> None:
        """Add one of them."""
        at = entry.started_at
        self.count += 1
        self.first_at = min(self.first_at, at)
        if (at, entry.delivery_id) > (self.last_at, self.delivery):
            self.last_at, self.delivery = at, entry.delivery_id
            self.example = entry.error or entry.reason or ""
        self.hashes.add(_hash_of(delivery))


class ErrorRows:
    """Writes the errors and successes of a file, within its transactions.

    Args:
        db: The file.
        number: Returns the number of a subscription's name, and that of a partner's.
        most: The most patterns that the file distinguishes.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        number: Callable[[str, str], tuple[int, int]],
        most: int = MOST_IN_HOUR,
    ) -> None:
        self._db = db
        self._number = number
        self._most = most
        self._kept: int | None = None

    def forget(self) -> None:
        """Drop the counts of a transaction that was not committed."""
        self._kept = None

    def add(self, entries: Iterable[tuple[AuditEntry, Packed]]) -> None:
        """Add audit entries that are not added yet, with the ids of their deliveries as they are stored."""
        errors: dict[Errors, _Gathered] = {}
        successes: dict[tuple[str, str], Millis] = {}
        for entry, delivery in entries:
            fingerprint = fingerprint_of(entry)
            if fingerprint is not None:
                key = Errors(entry.partner_id, fingerprint)
                found = errors.get(key)
                if found is None:
                    at, example = entry.started_at, entry.error or entry.reason or ""
                    found = errors[key] = _Gathered(at, at, example, entry.delivery_id)
                found.take(entry, delivery)
            elif entry.disposition == "complete" and not is_test(entry.trigger):
                owner = entry.subscription_id, entry.partner_id
                successes[owner] = max(entry.started_at, successes.get(owner, 0))
        for key, gathered in errors.items():
            self._put(key, gathered)
        self._db.executemany(
            _SUCCESS, [(self._number(*owner)[0], at) for owner, at in successes.items()]
        )

    def _put(self, errors: Errors, found: _Gathered) -> None:
        subscription_id, outcome, status, text = errors.fingerprint
        sub, partner = self._number(subscription_id, errors.partner_id)
        key = sub, partner, outcome, 0 if status is None else status, text
        stored = self._stored(key)
        if stored is None and self._is_full(sub):
            key = sub, partner, "none", 0, OTHERS
            stored = self._stored(key)
        if stored is None:
            self._kept = self._count() + 1
        deliveries = Distinct.of(found.hashes)
        if stored is not None:
            deliveries = deliveries.joined(Distinct.read(stored))
        rest = found.count, found.first_at, found.last_at, found.example, found.delivery
        self._db.execute(_ERROR, (*key, *rest, deliveries.stored()))

    def _stored(self, key: tuple[int, int, str, int, str]) -> bytes | None:
        found = self._db.execute(_DELIVERIES, key).fetchone()
        return None if found is None else bytes(found[0])

    def _is_full(self, sub: int) -> bool:
        """Return whether no further pattern of a subscription is distinguished."""
        if self._count() >= self._most:
            return True
        of = self._db.execute("SELECT count(*) FROM errors WHERE sub = ?", (sub,)).fetchone()[0]
        return bool(of >= MOST_PATTERNS)

    def _count(self) -> int:
        if self._kept is None:
            found = self._db.execute("SELECT count(*) FROM errors").fetchone()[0]
            self._kept = int(found)
        return self._kept


def patterns_of(
    db: sqlite3.Connection, subs: Iterable[int] | None, partner: int | None, most: int
) -> list[PatternRow]:
    """Return the most frequent error patterns of subscriptions.

    Args:
        db: The file.
        subs: The numbers of subscriptions; None: all.
        partner: Only those of a partner's number; None: of all.
        most: The most that are returned.
    """
    which, values = _which(subs, partner)
    return db.execute(
        f"SELECT s.name, {_COLUMNS} FROM (SELECT * FROM errors WHERE {which}"
        f" ORDER BY count DESC, last_at DESC LIMIT ?) e CROSS JOIN names s ON s.id = e.sub",
        (*values, most),
    ).fetchall()


def _which(subs: Iterable[int] | None, partner: int | None) -> tuple[str, tuple[object, ...]]:
    """Return the condition of subscriptions and a partner, and its values; None: of all."""
    conditions, values = ["1"], list[object]()
    if subs is not None:
        # One statement for any number of them.
        conditions.append("sub IN (SELECT value FROM json_each(?))")
        values.append(json.dumps([*subs]))
    if partner is not None:
        conditions.append("partner = ?")
        values.append(partner)
    return " AND ".join(conditions), tuple(values)


def patterns_like(
    db: sqlite3.Connection, named: Iterable[Fingerprint], partner: int | None
) -> Iterator[PatternRow]:
    """Yield a file's errors of some patterns; with a partner's number, only its own."""
    for name, outcome, status, text in named:
        yield from db.execute(_PATTERN, (name, outcome, status or 0, text, partner))


class GatheredPatterns:
    """Joins patterns of errors over hours."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, int, str], _Joined] = {}

    def add(self, rows: Iterable[PatternRow]) -> int:
        """Add those of an hour, and return their number."""
        added = 0
        for row in rows:
            added += 1
            found = self._found.get(row[:4])
            if found is None:
                self._found[row[:4]] = _Joined(*row[4:])
            else:
                found.add(*row[4:])
        return added

    def most_frequent(self, most: int) -> list[ErrorPattern]:
        """Return the most frequent ones; of equally frequent ones, the latest."""
        found = heapq.nsmallest(
            most, self._found.items(), key=lambda item: (-item[1].count, -item[1].last_at, item[0])
        )
        return [
            ErrorPattern(
                Fingerprint(name, outcome, status or None, text),
                each.count,
                each.first_at,
                each.last_at,
                each.example,
                each.delivery,
            )
            for (name, outcome, status, text), each in found
        ]


def errors_seen(
    db: sqlite3.Connection,
    subs: Iterable[int] | None,
    partner: int | None,
    *,
    deliveries: bool = True,
) -> Iterator[SeenRow]:
    """Yield errors, with the hashes of their deliveries.

    Args:
        db: The file.
        subs: The numbers of subscriptions; None: all.
        partner: Only those of a partner's number; None: of all.
        deliveries: Whether these hashes are read.
    """
    which, values = _which(subs, partner)
    yield from db.execute((_SEEN if deliveries else _SEEN_ALONE) + which, values)


class GatheredErrors:
    """Joins errors of the same pattern over hours."""

    def __init__(self) -> None:
        self.rows = 0
        """The number of added errors."""
        self._found: dict[tuple[str, str, str, int, str], _Joined] = {}

    def add(self, rows: Iterable[SeenRow]) -> None:
        """Add those of an hour."""
        for row in rows:
            self.rows += 1
            found = self._found.get(row[:5])
            if found is None:
                found = self._found[row[:5]] = _Joined(*row[5:10])
            else:
                found.add(*row[5:10])
            found.hashes.append(row[10])

    def errors(self) -> dict[Errors, SeenErrors]:
        """Return the joined errors."""
        return {
            Errors(owner, Fingerprint(name, outcome, status or None, text)): SeenErrors(
                found.count,
                found.first_at,
                found.last_at,
                found.example,
                found.delivery,
                Distinct.read(*found.hashes),
            )
            for (name, owner, outcome, status, text), found in self._found.items()
        }


@dataclass(slots=True)
class _Joined:
    """Errors of the same pattern, of several hours."""

    count: int
    first_at: Millis
    last_at: Millis
    example: str
    delivery: str
    hashes: list[bytes] = field(default_factory=list)

    def add(
        self, count: int, first_at: Millis, last_at: Millis, example: str, delivery: str
    ) -> None:
        """Add those of another hour."""
        self.count += count
        self.first_at = min(self.first_at, first_at)
        if (last_at, delivery) > (self.last_at, self.delivery):
            self.last_at, self.delivery, self.example = last_at, delivery, example


def successes_seen(
    db: sqlite3.Connection, subs: Iterable[int] | None
) -> Iterator[tuple[str, Millis]]:
    """Yield the last success of subscriptions; None: of all."""
    for sub in [None] if subs is None else subs:
        yield from db.execute(
            "SELECT n.name, s.at FROM successes s JOIN names n ON n.id = s.sub"
            " WHERE ?1 IS NULL OR s.sub = ?1",
            (sub,),
        )


def _hash_of(packed: Packed) -> int:
    """Return 64 bits of an id. An id that hookstream made by hashing contains them already."""
    if isinstance(packed, str):
        packed = hashlib.blake2b(packed.encode(), digest_size=HASH_BYTES).digest()
    return int.from_bytes(packed[-HASH_BYTES:], "big")


_DELIVERIES = (
    "SELECT deliveries FROM errors WHERE sub = ? AND partner = ? AND outcome = ? AND status = ?"
    " AND text = ?"
)
_ERROR = (
    "INSERT INTO errors VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
    " count = count + excluded.count, first_at = min(first_at, excluded.first_at),"
    " example = iif((excluded.last_at, excluded.delivery) > (last_at, delivery), excluded.example, example),"
    " delivery = iif((excluded.last_at, excluded.delivery) > (last_at, delivery), excluded.delivery, delivery),"
    " last_at = max(last_at, excluded.last_at), deliveries = excluded.deliveries"
)
_SUCCESS = (
    "INSERT INTO successes VALUES (?, ?) ON CONFLICT DO UPDATE SET at = max(at, excluded.at)"
)
_SEEN = (
    "SELECT s.name, p.name, e.outcome, e.status, e.text, e.count, e.first_at, e.last_at, e.example,"
    " e.delivery, e.deliveries FROM errors e JOIN names s ON s.id = e.sub JOIN names p ON p.id = e.partner"
    " WHERE "
)
_COLUMNS = "e.outcome, e.status, e.text, e.count, e.first_at, e.last_at, e.example, e.delivery"
_PATTERN = (
    f"SELECT s.name, {_COLUMNS} FROM names s CROSS JOIN errors e ON e.sub = s.id"
    " WHERE s.kind = 's' AND s.name = ?1 AND e.outcome = ?2 AND e.status = ?3 AND e.text = ?4"
    " AND (?5 IS NULL OR e.partner = ?5)"
)
_SEEN_ALONE = _SEEN.replace("e.deliveries", "x''")
