"""Lists the files below a folder, each once: links are followed, hidden names are left out.

Names that begin with a dot are left out, as mounts of a Kubernetes ConfigMap contain every file once
more below `..data`. A folder or file that two links lead to is found once, under the first of its
paths, so that no link can make a loop.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from hookstream.errors import InputRefused

_SENT: Final = re.compile(
    r"(?:(?![.])[^/\\\x00-\x1f\x7f]{1,200}/){0,4}(?![.])[^/\\\x00-\x1f\x7f]{1,200}"
)
"""A path below a folder, without hidden names and without a way out of it."""


@dataclass(slots=True, frozen=True)
class Found:
    """A file below a folder."""

    path: Path
    problem: str = ""
    """Why it cannot be read: a dangling link, a folder without permission, not a regular file."""
    real: str = ""
    """Its path without links: one for each file."""


class FileTree(Protocol):
    """Files below folders: those of this machine, or some in memory."""

    def listed(self, folder: Path) -> list[str]:
        """As `listed`."""

    def files_below(self, folder: Path, *, most: int) -> Iterator[Found]:
        """As `files_below`."""

    def read(self, path: Path, most: int) -> bytes:
        """Return the first bytes of a file, at most `most`.

        Raises:
            OSError: It cannot be read.
        """

    def real(self, path: Path) -> str:
        """Return the path of a file without links: one for each file."""


class DiskTree:
    """The files of this machine. Implements `FileTree`."""

    def listed(self, folder: Path) -> list[str]:
        """As `listed`."""
        return listed(folder)

    def files_below(self, folder: Path, *, most: int) -> Iterator[Found]:
        """As `files_below`."""
        return files_below(folder, most=most)

    def read(self, path: Path, most: int) -> bytes:
        """As FileTree says."""
        with path.open("rb") as file:
            return file.read(most)

    def real(self, path: Path) -> str:
        """As FileTree says."""
        return os.path.realpath(path)


DISK: Final = DiskTree()


class SentFile(NamedTuple):
    """A file from a request."""

    path: str
    """Its path relative to the folder."""
    content: bytes


class SentTree:
    """Files from a request, below one folder. Implements `FileTree` without a disk.

    Args:
        folder: Their nominal folder.
        files: The files.

    Raises:
        InputRefused: A path leads elsewhere, has a hidden name, occurs twice, or is also a folder.
    """

    def __init__(self, folder: Path, files: Sequence[SentFile]) -> None:
        self._folder = folder
        self._files: dict[Path, bytes] = {}
        for number, (path, content) in enumerate(files):
            if _SENT.fullmatch(path) is None:
                raise InputRefused(f"files[{number}].path: it is not a path below the folder")
            if folder / path in self._files:
                raise InputRefused(f"files[{number}].path: another file has it already")
            self._files[folder / path] = content
        folders = {above for each in self._files for above in each.parents}
        if folders & self._files.keys():
            raise InputRefused("files: the path of one is the folder of another")

    def listed(self, folder: Path) -> list[str]:
        """Return the names in a folder."""
        below = (each.relative_to(folder) for each in self._files if each.is_relative_to(folder))
        return sorted({each.parts[0] for each in below})

    def files_below(self, folder: Path, *, most: int) -> Iterator[Found]:
        """Yield the files below a folder, in the order of their paths."""
        found = sorted(each for each in self._files if each.is_relative_to(folder))
        if len(found) > most:
            raise InputRefused(f"{most} files are taken, and there are {len(found)}")
        return (Found(each, real=self.real(each)) for each in found)

    def read(self, path: Path, most: int) -> bytes:
        """As FileTree says."""
        found = self._files.get(path)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return found[:most]

    def real(self, path: Path) -> str:
        """Return the path: there are no links."""
        return str(path)


def files_below(folder: Path, *, most: int) -> Iterator[Found]:
    """Yield the files below a folder, in the order of their paths.

    Args:
        folder: Where to begin.
        most: The most files.

    Raises:
        InputRefused: There are more.
    """
    for count, found in enumerate(_walk(folder), 1):
        if count > most:
            raise InputRefused(
                f"{shown(folder)} contains more than {most} files; {most} are taken"
            )
        yield found


def listed(folder: Path) -> list[str]:
    """Return the names in a folder, in their order, hidden ones left out.

    Raises:
        InputRefused: It does not exist, is not a folder, or may not be read.
    """
    return [entry.name for entry in _entries(folder)]


def shown(path: Path) -> str:
    """Return a path that is safe for a terminal: non-text bytes and control characters are escaped."""
    written = str(path)
    if written.isascii() and written.isprintable():
        return written
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return the entries of a folder, as `listed`."""
    try:
        with os.scandir(folder) as found:
            entries = [each for each in found if not each.name.startswith(".")]
    except OSError as failed:
        why = failed.strerror or failed
        raise InputRefused(f"the folder {shown(folder)} cannot be read: {why}") from failed
    return sorted(entries, key=attrgetter("name"))


def _walk(folder: Path) -> Iterator[Found]:
    # Without recursion: folders may be nested deeper than Python's stack.
    pending = [(folder, os.path.realpath(folder))]
    seen = {pending[0][1]}
    while pending:
        path, real = pending.pop()
        problem, is_folder = _look(path)
        try:
            entries = _entries(path) if is_folder else []
        except InputRefused as refused:
            yield Found(path, str(refused), real)
            continue
        if not is_folder:
            yield Found(path, problem, real)
        for entry in reversed(entries):
            inner = _real(entry, real)
            if inner not in seen:
                seen.add(inner)
                pending.append((path / entry.name, inner))


def _real(entry: os.DirEntry[str], folder: str) -> str:
    """Return the path of an entry without links; `folder` is its folder's path."""
    try:
        if not entry.is_symlink():
            # Resolving each part of each path takes longer than reading the file.
            return os.path.join(folder, entry.name)  # noqa: PTH118  texts
    except OSError:
        pass
    return os.path.realpath(entry.path)


def _look(path: Path) -> tuple[str, bool]:
    """Return why a file is not to be opened, and whether it is a folder.

    Opening a pipe would wait for ever.
    """
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116  half the time
    except OSError as failed:
        return f"cannot be read: {failed.strerror or failed}", False
    if stat.S_ISDIR(mode):
        return "", True
    return "" if stat.S_ISREG(mode) else "is not a regular file", False
