"""The files that a reader has open: read-only, few at a time, and opened again where one was replaced."""

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
    """How many files all readers of a process have open together. For any thread.

    Whoever has none open may open one beyond it, so that every thread can answer.

    Args:
        most: The most files.
    """

    def __init__(self, most: int = _MOST_TOGETHER) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._opened = 0

    @property
    def opened(self) -> int:
        """How many are open now."""
        return self._opened

    def take(self, *, beyond: bool) -> bool:
        """Count one more; False: there are as many as may be, and none more is counted.

        Args:
            beyond: Count it all the same.
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
        most: How many at most.
        together: The limit of all readers together; None: there is no other.
    """

    def __init__(self, most: int = _MOST, together: OpenLimit | None = None) -> None:
        self._most = most
        self._together = together or OpenLimit(most)
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
            self._close(opened)
            return None
        self._opened[path] = found
        return opened

    def put(self, path: Path, opened: T) -> T:
        """Keep what was opened; the one that was not used for the longest is closed for it.

        Raises:
            OSError: The file is not there any more; what was opened is closed.
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


@contextmanager
def using(
    file: IndexFile, opened: OpenedFiles[T], make: Callable[[IndexFile], T]
) -> Iterator[T | None]:
    """Have a file open, as `make` opens it; None: it is not there. Raises as `reading` does."""
    with reading(file.path, marker=file.marker):
        if not file.path.exists():
            yield None
            return
        yield opened.get(file.path) or opened.put(file.path, make(file))
