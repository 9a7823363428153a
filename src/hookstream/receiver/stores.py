"""Stores of handled webhook ids: in memory, in SQLite, or the receiver's own."""

import os
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from hookstream.errors import ConfigurationError, DependencyUnavailable

MAX_IDS = 100_000
"""How many ids are remembered in memory (some 200 bytes each); the oldest are dropped first, whatever their age."""


class Claimed(StrEnum):
    """A store's answer to a claim."""

    FIRST = "first"
    """The caller has the claim: no other caller gets it until it is settled."""
    HANDLED = "handled"
    BEING_HANDLED = "being_handled"


class SeenStore(Protocol):
    """Remembers which webhooks were handled. Several threads use it at once."""

    def claim(self, key: str, now: float, lease: float) -> Claimed:
        """Return what is known of a key, and claim it if nothing is. It must be one atomic step.

        Args:
            key: Up to some hundred characters.
            now: Seconds since the epoch.
            lease: Seconds after which the claim expires, unless it dies with the process.
        """

    def settle(self, key: str, until: float | None) -> None:
        """End the claim of a key.

        Args:
            key: As claimed.
            until: The time until which it counts as handled, in seconds since the epoch; None: it was not
                handled, and may be claimed again.
        """


class MemoryStore:
    """Keeps keys in memory, for a receiver of one process. A restart forgets them.

    Args:
        most: The most keys that are remembered.
    """

    def __init__(self, *, most: int = MAX_IDS) -> None:
        self._most = most
        self._seen: OrderedDict[str, float] = OrderedDict()
        self._handled: set[str] = set()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return how many keys are remembered."""
        return len(self._seen)

    def claim(self, key: str, now: float, lease: float) -> Claimed:
        """As `SeenStore` says; claims die with the process, so no lease ends."""
        del lease
        with self._lock:
            self._forget(now)
            if key in self._handled:
                return Claimed.BEING_HANDLED
            if key in self._seen:
                return Claimed.HANDLED
            self._handled.add(key)
            return Claimed.FIRST

    def settle(self, key: str, until: float | None) -> None:
        """As `SeenStore` says."""
        with self._lock:
            self._handled.discard(key)
            if until is not None:
                self._seen[key] = until
                self._seen.move_to_end(key)

    def _forget(self, now: float) -> None:
        while self._seen:
            oldest = next(iter(self._seen))
            if len(self._seen) < self._most and self._seen[oldest] > now:
                return
            del self._seen[oldest]


class SqliteStore:
    """Keeps keys in a file, for a receiver of several processes on one machine, over restarts.

    Each step is one transaction on the disk. Do not put the file on a network file system.

    Args:
        path: The file; it is created if it does not exist.
        busy: Seconds for which a step waits for another process.

    Raises:
        ConfigurationError: The file cannot be opened, or is no database.
        DependencyUnavailable: In any step: another process keeps the file locked.
    """

    def __init__(self, path: str | Path, *, busy: float = 30) -> None:
        self._path = str(path)
        self._busy = busy
        self._lock = threading.Lock()
        self._opened_by = 0
        self._kept: sqlite3.Connection | None = None
        with self._lock:
            self._connection()

    def claim(self, key: str, now: float, lease: float) -> Claimed:
        """As `SeenStore` says."""
        with self._writing() as connection:
            connection.execute("DELETE FROM seen WHERE until <= ?", (now,))
            found = connection.execute("SELECT handled FROM seen WHERE key = ?", (key,)).fetchone()
            if found is not None:
                return Claimed.HANDLED if found[0] else Claimed.BEING_HANDLED
            connection.execute("INSERT INTO seen VALUES (?, ?, 0)", (key, now + lease))
            return Claimed.FIRST

    def settle(self, key: str, until: float | None) -> None:
        """As `SeenStore` says."""
        with self._writing() as connection:
            if until is None:
                connection.execute("DELETE FROM seen WHERE key = ? AND handled = 0", (key,))
            else:
                connection.execute("INSERT OR REPLACE INTO seen VALUES (?, ?, 1)", (key, until))

    def close(self) -> None:
        """Close the file. A later step opens it again."""
        with self._lock:
            if self._kept is not None and self._opened_by == os.getpid():
                self._kept.close()
            self._kept = None

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection in a transaction that excludes other writers."""
        with self._lock:
            connection = self._connection()
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as problem:
                raise DependencyUnavailable(f"{self._path}: {problem}") from problem
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def _connection(self) -> sqlite3.Connection:
        # A connection must not be used across a fork.
        if self._kept is None or self._opened_by != os.getpid():
            try:
                self._kept = _opened(self._path, self._busy)
            except sqlite3.Error as problem:
                raise ConfigurationError(f"{self._path}: {problem}") from problem
            self._opened_by = os.getpid()
        return self._kept


def _opened(path: str, busy: float) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=busy, isolation_level=None, check_same_thread=False)
    try:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS seen"
            " (key TEXT PRIMARY KEY, until REAL NOT NULL, handled INTEGER NOT NULL) WITHOUT ROWID"
        )
        connection.execute("CREATE INDEX IF NOT EXISTS seen_until ON seen (until)")
    except BaseException:
        connection.close()
        raise
    return connection
