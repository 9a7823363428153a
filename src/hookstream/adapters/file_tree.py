"""The files below a folder, each once: links are followed, hidden names are left out.

Names that begin with a dot are left out, as mounts of a Kubernetes ConfigMap contain every file once
more below `..data`. A folder or file that two links lead to is found once, under the first of its
paths, so that no link can make a loop.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hookstream.errors import InputRefused


@dataclass(slots=True, frozen=True)
class Found:
    """A file below a folder."""

    path: Path
    problem: str = ""
    """Why it cannot be read: a dangling link, a folder without permission, no regular file."""


def files_below(folder: Path, *, most: int) -> Iterator[Found]:
    """Yield the files below a folder, in the order of their paths.

    Args:
        folder: Where to begin.
        most: How many files are taken.

    Raises:
        InputRefused: There are more.
    """
    seen = {os.path.realpath(folder)}
    for count, found in enumerate(_walk(folder, seen), 1):
        if count > most:
            raise InputRefused(
                f"{shown(folder)} contains more than {most} files; {most} are taken"
            )
        yield found


def listed(folder: Path) -> list[str]:
    """Return the names in a folder, in their order, hidden ones left out.

    Raises:
        InputRefused: It is not there, is no folder, or may not be read.
    """
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))  # noqa: PTH208  names
    except OSError as failed:
        why = failed.strerror or failed
        raise InputRefused(f"the folder {shown(folder)} cannot be read: {why}") from failed


def shown(path: Path) -> str:
    """Return a path fit for a terminal: bytes that are no text, and control characters, escaped."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _walk(folder: Path, seen: set[str]) -> Iterator[Found]:
    # Not by recursion: folders may be nested deeper than Python's stack.
    pending = [folder]
    while pending:
        path = pending.pop()
        problem, is_folder = _look(path)
        try:
            names = listed(path) if is_folder else []
        except InputRefused as refused:
            yield Found(path, str(refused))
            continue
        if not is_folder:
            yield Found(path, problem)
        for name in reversed(names):
            real = os.path.realpath(path / name)
            if real not in seen:
                seen.add(real)
                pending.append(path / name)


def _look(path: Path) -> tuple[str, bool]:
    """Return why a file is not to be opened, and whether it is a folder.

    Opening a pipe would wait for ever.
    """
    try:
        mode = path.stat().st_mode
    except OSError as failed:
        return f"cannot be read: {failed.strerror or failed}", False
    if stat.S_ISDIR(mode):
        return "", True
    return "" if stat.S_ISREG(mode) else "is no regular file", False
