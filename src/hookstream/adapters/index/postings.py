"""Which attempts an id has: sorted runs of numbers, merged as they grow, instead of an index of SQLite.

Ids are as good as random. An index of them changes a page for every row: 10 KB of writes each, measured.
Here each batch of rows adds one sorted run, and of each level sixteen runs become one of the next, up to
a million entries. An entry is 35 bits of the id's hash and the row's number; a question seeks one block in
each run, and compares the ids of the rows that it finds.
"""

import hashlib
import sqlite3
from array import array
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from enum import IntEnum
from itertools import islice
from typing import Final

from hookstream.adapters.index.packing import Packed

SCHEMA: Final = """
CREATE TABLE runs (
  id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, level INTEGER NOT NULL, entries INTEGER NOT NULL
);
CREATE TABLE blocks (
  run INTEGER NOT NULL, first INTEGER NOT NULL, entries BLOB NOT NULL, PRIMARY KEY (run, first)
) WITHOUT ROWID;
"""

SEQUENCE_BITS = 28
"""A file has at most 268 million rows."""
MOST_ROWS = 1 << SEQUENCE_BITS
_SEQUENCE = MOST_ROWS - 1
_HASH = (1 << 35) - 1

_MERGED = 16
"""So many runs of a level become one of the next."""
_LARGEST = 1_000_000
"""The most entries of a run."""
_BLOCK = 256
"""Entries of a block: 2 KB."""


class Of(IntEnum):
    """What kind of id an entry is of."""

    DELIVERY = 0
    EVENT = 1
    ENTITY = 2
    BATCH = 3


def hash_of(packed: Packed) -> int:
    """Return an id's hash. An id that hookstream made by hashing has one already."""
    if isinstance(packed, str):
        packed = hashlib.blake2b(packed.encode(), digest_size=8).digest()
    return int.from_bytes(packed[-8:], "big") & _HASH


class PostingsWriter:
    """Adds entries to a file's runs, within its transactions.

    Args:
        db: The file.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._waiting: dict[Of, list[int]] = {kind: [] for kind in Of}
        self._levels: defaultdict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
        self._read()

    def add(self, kind: Of, ids: Iterable[tuple[Packed, int]]) -> None:
        """Add ids with the numbers of their rows."""
        from_bytes = int.from_bytes
        self._waiting[kind] += [
            (
                hash_of(packed)
                if isinstance(packed, str)
                else from_bytes(packed[-8:], "big") & _HASH
            )
            << SEQUENCE_BITS
            | row
            for packed, row in ids
        ]

    def flush(self) -> None:
        """Write what was added as runs, and merge a level that has enough of them."""
        for kind, entries in self._waiting.items():
            if entries:
                entries.sort()
                self._write(kind, 0, entries)
                self._waiting[kind] = []
                self._merge(kind, 0)

    def forget(self) -> None:
        """Drop what was added: its transaction is rolled back."""
        self._waiting = {kind: [] for kind in Of}
        self._read()

    def _read(self) -> None:
        self._levels.clear()
        for run, kind, level, entries in self._db.execute("SELECT * FROM runs ORDER BY id"):
            self._levels[kind, level].append((run, entries))

    def _write(self, kind: Of, level: int, entries: list[int]) -> None:
        made = self._db.execute(
            "INSERT INTO runs (kind, level, entries) VALUES (?, ?, ?)", (kind, level, len(entries))
        )
        run = made.lastrowid or 0
        packed = array("q", entries)
        self._db.executemany(
            "INSERT INTO blocks VALUES (?, ?, ?)",
            [
                (run, packed[start], packed[start : start + _BLOCK].tobytes())
                for start in range(0, len(packed), _BLOCK)
            ],
        )
        self._levels[kind, level].append((run, len(entries)))

    def _merge(self, kind: Of, level: int) -> None:
        runs = self._levels[kind, level]
        if len(runs) < _MERGED or sum(entries for _, entries in runs) > _LARGEST:
            return
        merged: list[int] = []
        for run, _ in runs:
            for block in self._db.execute("SELECT entries FROM blocks WHERE run = ?", (run,)):
                merged.extend(array("q", block[0]))
            self._db.execute("DELETE FROM blocks WHERE run = ?", (run,))
            self._db.execute("DELETE FROM runs WHERE id = ?", (run,))
        runs.clear()
        # Of sorted runs one after another: it merges them.
        merged.sort()
        self._write(kind, level + 1, merged)
        self._merge(kind, level + 1)


def rows_of(db: sqlite3.Connection, kind: Of, packed: Packed, most: int) -> list[int]:
    """Return the numbers of the rows that may have an id, the newest first, at most `most`.

    The caller compares the rows' ids, as two of them may have one hash.
    """
    low = hash_of(packed) << SEQUENCE_BITS
    found: list[int] = []
    for (run,) in db.execute("SELECT id FROM runs WHERE kind = ?", (kind,)).fetchall():
        found.extend(islice(_rows_in(db, run, low), most))
    found.sort(reverse=True)
    return found[:most]


def _rows_in(db: sqlite3.Connection, run: int, low: int) -> Iterator[int]:
    """Yield the rows of a run that have a hash, the newest first."""
    high = low | _SEQUENCE
    blocks = db.execute(
        "SELECT first, entries FROM blocks WHERE run = ? AND first <= ? ORDER BY first DESC",
        (run, high),
    )
    for first, block in blocks:
        entries = array("q", block)
        end = bisect_right(entries, high)
        for at in range(end - 1, bisect_left(entries, low) - 1, -1):
            yield entries[at] & _SEQUENCE
        if first < low:
            return


def hashes(db: sqlite3.Connection, kind: Of) -> Iterator[list[int]]:
    """Yield the hashes of all entries of a kind, a block at a time; one may come several times."""
    blocks = db.execute(
        "SELECT b.entries FROM runs r JOIN blocks b ON b.run = r.id WHERE r.kind = ?", (kind,)
    )
    for (block,) in blocks:
        yield [entry >> SEQUENCE_BITS for entry in array("q", block)]


def entries_of(db: sqlite3.Connection, kind: Of) -> int:
    """Return how many entries of a kind there are."""
    found = db.execute("SELECT sum(entries) FROM runs WHERE kind = ?", (kind,)).fetchone()
    return int(found[0] or 0)
