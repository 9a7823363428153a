"""The files that a reader has open: read-only, few at a time, and opened again where one was replaced."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from hookstream.adapters.index.database import OtherFormat
from hookstream.adapters.index.folder import is_damage
from hookstream.errors import DependencyUnavailable

_MOST = 32
"""Each takes three descriptors."""


class _Closable(Protocol):
    def close(self) -> None: ...


T = TypeVar("T", bound=_Closable)


class OpenedFiles(Generic[T]):
    """Keeps files open by their path.

    Args:
        most: How many at most.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._opened: dict[Path, tuple[int, T]] = {}

    def get(self, path: Path) -> T | None:
        """Return what is open at a path; None: nothing is, or it was replaced since."""
        found = self._opened.pop(path, None)
        if found is None:
            return None
        inode, opened = found
        try:
            same = path.stat().st_ino == inode
        except OSError:
            same = False
        if not same:
            opened.close()
            return None
        self._opened[path] = found
        return opened

    def put(self, path: Path, opened: T) -> T:
        """Keep what was opened; the one that was not used for the longest is closed for it."""
        if len(self._opened) >= self._most:
            self._opened.pop(next(iter(self._opened)))[1].close()
        self._opened[path] = path.stat().st_ino, opened
        return opened

    def close(self) -> None:
        """Close all."""
        for _, opened in self._opened.values():
            opened.close()
        self._opened.clear()


@contextmanager
def reading(path: Path, *, marker: Path | None = None) -> Iterator[None]:
    """Say of what goes wrong with a file that it is to be asked again; a damaged one is marked for the writer.

    Raises:
        DependencyUnavailable: The file is not there any more, is busy or damaged.
    """
    try:
        yield
    except (OtherFormat, OSError) as error:
        raise DependencyUnavailable(f"the index's {path.name} cannot be read: {error}") from error
    except sqlite3.Error as error:
        if marker is not None and is_damage(error):
            with suppress(OSError):
                marker.touch()
        raise DependencyUnavailable(f"the index's {path.name} cannot be read: {error}") from error
