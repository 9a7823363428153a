"""Opens SQLite files, for the only writer or read-only, and commits to them."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

from hookstream.adapters.index.folder import FORMAT

_WRITERS: Final = (
    "PRAGMA journal_mode=WAL",
    # A process that is killed loses nothing. A machine that loses power may lose the last commits, which
    # are read again, as their positions are lost with them.
    "PRAGMA synchronous=NORMAL",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA busy_timeout=5000",
)


class OtherFormat(Exception):
    """A file has another format than this release's."""


def open_for_writing(
    path: Path, schema: str, *, cache_kib: int = 16_384, log_pages: int = 4_000
) -> sqlite3.Connection:
    """Open or create a file.

    Args:
        path: The file.
        schema: The statements that create its tables.
        cache_kib: The most memory for its pages.
        log_pages: How many pages are written to the log before they are moved into the file.

    Raises:
        OtherFormat: It exists, and has another format.
        sqlite3.Error: It cannot be opened, or is damaged.
    """
    opened = sqlite3.connect(path, isolation_level=None, cached_statements=256)
    try:
        version = opened.execute("PRAGMA user_version").fetchone()[0]
        made = opened.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if made and version != FORMAT:
            _refuse(path, version)
        for pragma in _WRITERS:
            opened.execute(pragma).fetchall()
        opened.execute(f"PRAGMA cache_size=-{cache_kib}")
        opened.execute(f"PRAGMA wal_autocheckpoint={log_pages}")
        if not made:
            # One transaction: a file has all of its tables and its format, or none of them.
            opened.executescript(f"BEGIN; {schema} PRAGMA user_version={FORMAT}; COMMIT;")
    except BaseException:
        opened.close()
        raise
    return opened


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open a file read-only.

    Raises:
        OtherFormat: It has another format.
        sqlite3.Error: It does not exist, or is damaged.
    """
    opened = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=ro",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=128,
    )
    try:
        version = opened.execute("PRAGMA user_version").fetchone()[0]
        if version != FORMAT:
            _refuse(path, version)
        opened.execute("PRAGMA query_only=1")
        opened.execute("PRAGMA cache_size=-4096")
        # Files of past hours do not change: pages are memory-mapped.
        opened.execute("PRAGMA mmap_size=268435456")
    except BaseException:
        opened.close()
        raise
    return opened


@contextmanager
def transaction(opened: sqlite3.Connection) -> Iterator[None]:
    """Commit the changes of the block, all or none, even if it is cancelled."""
    opened.execute("BEGIN IMMEDIATE")
    try:
        yield
        opened.execute("COMMIT")
    except BaseException:
        # SQLite has already rolled back if the disk is full.
        if opened.in_transaction:
            opened.execute("ROLLBACK")
        raise


@contextmanager
def snapshot(opened: sqlite3.Connection) -> Iterator[None]:
    """Make all reads of the block see one instant."""
    opened.execute("BEGIN")
    try:
        yield
    finally:
        if opened.in_transaction:
            opened.execute("COMMIT")


def _refuse(path: Path, version: int) -> NoReturn:
    raise OtherFormat(f"{path.name} has format {version}, this release's is {FORMAT}")
