"""Manages the files of the index's folder: their spans, their sizes, and damaged ones.

`attempts-2026112909.db` has the attempts of an hour of append time, `aside-20261129.db` the dead letters,
undecodable records and operations events of a day, `now.db` the records that wait in the tiers.
`attempts-2026112909.ids` is a closed hour's filter of ids.
"""

import datetime as dt
import re
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from hookstream.core.model.instant import DAY, HOUR, Millis

FORMAT = 4
"""The format of all files. A file of another one is deleted and rebuilt."""

_SIDE_FILES = ("-wal", "-shm")
_DAMAGED = ".damaged"
"""The suffix of an empty marker file: a reader found the file damaged, and its writer deletes both."""

_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class Family(Enum):
    """The kind of a file, with its span of append time."""

    ATTEMPTS = "attempts", HOUR, "%Y%m%d%H"
    ASIDE = "aside", DAY, "%Y%m%d"

    @property
    def prefix(self) -> str:
        """The prefix of its files' names."""
        return self.value[0]

    @property
    def span(self) -> Millis:
        """The span of one file."""
        return self.value[1]

    @property
    def pattern(self) -> str:
        """The format of the start of a file's span in its name."""
        return self.value[2]

    def start_of(self, instant: Millis) -> Millis:
        """Return the start of the span that an instant lies in."""
        return instant - instant % self.span


class IndexFile(NamedTuple):
    """One file of the index."""

    family: Family
    start: Millis
    path: Path

    @property
    def filter(self) -> Path:
        """The path of its filter of delivery ids."""
        return self.path.with_suffix(".ids")

    @property
    def marker(self) -> Path:
        """The path of the marker of a damaged file."""
        return self.path.with_name(self.path.name + _DAMAGED)

    def bytes(self) -> int:
        """Return its size on disk, with its log and its filter."""
        sides = [self.path.with_name(self.path.name + side) for side in _SIDE_FILES]
        return sum(map(_size, (self.path, self.filter, *sides)))

    def unlink(self) -> None:
        """Delete it. Readers that have it open can read it until they close it."""
        for side in _SIDE_FILES:
            self.path.with_name(self.path.name + side).unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)
        self.filter.unlink(missing_ok=True)
        self.marker.unlink(missing_ok=True)


class IndexFolder:
    """The files of one index.

    Args:
        path: The folder, which belongs to the index only.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def now(self) -> Path:
        """The file of the waiting tier records and of the read positions."""
        return self.path / "now.db"

    def file(self, family: Family, start: Millis) -> IndexFile:
        """Return the file of a span, whether it exists or not."""
        moment = dt.datetime.fromtimestamp(start // 1000, dt.UTC)
        return IndexFile(
            family, start, self.path / f"{family.prefix}-{moment.strftime(family.pattern)}.db"
        )

    def files(self, family: Family) -> list[IndexFile]:
        """Return the existing files of a family, the newest first."""
        found: list[IndexFile] = []
        with suppress(FileNotFoundError):
            for path in self.path.iterdir():
                start = _start_in(path.name, family)
                if start is not None:
                    found.append(IndexFile(family, start, path))
        return sorted(found, key=lambda each: each.start, reverse=True)

    def touched(
        self,
        family: Family,
        known_since: Millis | None,
        since: Millis | None,
        until: Millis | None,
        before: tuple[Millis, int, int] | None,
    ) -> Iterator[IndexFile]:
        """Yield the files of a window that an interval overlaps, the newest first.

        Args:
            family: The kind of file.
            known_since: The start of the window; None: nothing is known, so there are none.
            since: The start of the interval; None: the start of the window.
            until: Its end; None: it has none.
            before: Only files with rows before this place.
        """
        if known_since is None:
            return
        ends = until, None if before is None else before[0] + 1
        last = min((each for each in ends if each is not None), default=None)
        for file in self.files(family):
            if file.start < known_since or (
                since is not None and file.start + family.span <= since
            ):
                return
            if last is None or file.start < last:
                yield file

    def unlink_now(self) -> None:
        """Delete the file of the present."""
        IndexFile(Family.ATTEMPTS, 0, self.now).unlink()

    def bytes(self) -> int:
        """Return the size of all files on disk."""
        found = 0
        with suppress(FileNotFoundError):
            for path in self.path.iterdir():
                found += _size(path)
        return found


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error means that a file is damaged or not of this format."""
    code = getattr(error, "sqlite_errorcode", None)
    return code in _CORRUPT or "no such table" in str(error) or "no such column" in str(error)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


@lru_cache(maxsize=4_096)
def _start_in(name: str, family: Family) -> Millis | None:
    found = re.fullmatch(rf"{family.prefix}-([0-9]+)\.db", name)
    if found is None:
        return None
    try:
        moment = dt.datetime.strptime(found[1], family.pattern).replace(tzinfo=dt.UTC)
    except ValueError:
        return None
    if moment.strftime(family.pattern) != found[1]:
        return None
    return int(moment.timestamp()) * 1000
