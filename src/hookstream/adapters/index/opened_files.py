"""Keeps a reader's files open: read-only, few at a time, and reopened if one was replaced."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from hookstream.adapters.index.database import OtherFormat
from hookstream.adapters.index.folder import IndexFile, is_damage
from hookstream.errors import DependencyUnavailable

_MOST = 32
_MOST_TOGETHER = 160
"""Each takes three descriptors, and a process often has 1,024."""


class _Closable(Protocol):
    def close(self) -> None: ...


T = TypeVar("T", bound=_Closable)


class OpenLimit:
    """Limits the open files of all readers of a process together. For any thread.

    A reader without an open file may open one beyond it, so that every thread can answer.

    Args:
        most: The most files.
    """

    def __init__(self, most: int = _MOST_TOGETHER) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._opened = 0

    @property
    def opened(self) -> int:
        """The number of open files."""
        return self._opened

    def take(self, *, beyond: bool) -> bool:
        """Count one more; False: the limit is reached, and it is not counted.

        Args:
            beyond: Count it even beyond the limit.
        """
        with self._lock:
            if self._opened >= self._most and not beyond:
                return False
            self._opened += 1
            return True

    def give_back(self) -> None:
        """Count one less."""
        with self._lock:
            self._opened -= 1


class OpenedFiles(Generic[T]):
    """Keeps files open by their path. For one thread at a time.

    Args:
        most: The most open files.
        together: The limit of all readers together; None: there is no other.
    """

    def __init__(self, most: int = _MOST, together: OpenLimit | None = None) -> None:
        self._most = most
        self._together = together or OpenLimit(most)
        self._opened: dict[Path, tuple[int, T]] = {}

    def get(self, path: Path) -> T | None:
        """Return the open file of a path; None: there is none, or it was replaced."""
        found = self._opened.pop(path, None)
        if found is None:
            return None
        inode, opened = found
        try:
            same = path.stat().st_ino == inode
        except OSError:
            same = False
        if not same:
            self._close(opened)
            return None
        self._opened[path] = found
        return opened

    def put(self, path: Path, opened: T) -> T:
        """Keep an open file; the least recently used one is closed for it.

        Raises:
            OSError: The file does not exist any more; the given one is closed.
        """
        try:
            inode = path.stat().st_ino
        except OSError:
            opened.close()
            raise
        if len(self._opened) >= self._most:
            self._close_oldest()
        while not self._together.take(beyond=not self._opened):
            self._close_oldest()
        self._opened[path] = inode, opened
        return opened

    def close(self) -> None:
        """Close all."""
        while self._opened:
            self._close_oldest()

    def _close_oldest(self) -> None:
        self._close(self._opened.pop(next(iter(self._opened)))[1])

    def _close(self, opened: T) -> None:
        self._together.give_back()
        opened.close()


@contextmanager
def reading(path: Path, *, marker: Path | None = None) -> Iterator[None]:
    """Turn errors of a file into a request to try again, and mark a damaged file for the writer.

    Raises:
        DependencyUnavailable: The file does not exist any more, is busy or damaged.
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


@contextmanager
def using(
    file: IndexFile, opened: OpenedFiles[T], make: Callable[[IndexFile], T]
) -> Iterator[T | None]:
    """Lend an open file, as `make` opens it; None: it does not exist. Raises as `reading` does."""
    with reading(file.path, marker=file.marker):
        if not file.path.exists():
            yield None
            return
        yield opened.get(file.path) or opened.put(file.path, make(file))
