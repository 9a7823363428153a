"""Writes a file that appears under its name only when it is complete.

It is written in the same folder under another name, synced, and then renamed: if the process ends before,
there is no file of that name, or still the previous one.
"""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from hookstream.errors import InputRefused

PARTIAL = ".partial"
"""The suffix of a file that is not complete."""
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)
"""File systems without hard links answer with one of these."""


@contextmanager
def whole_file(path: Path, *, replaces: bool) -> Iterator[BinaryIO]:
    """Yield a stream whose bytes become the file when the block ends; an exception leaves no file.

    Only the user may read the file.

    Args:
        path: The file.
        replaces: Whether it may replace one that exists.

    Raises:
        InputRefused: The file exists, or cannot be written; the message names it.
    """
    if path.is_dir():
        raise InputRefused(f"{path} is a folder: name a file")
    if not replaces and os.path.lexists(path):
        raise _exists(path)
    partial: Path | None = None
    try:
        descriptor, name = tempfile.mkstemp(PARTIAL, f".{path.name[:100]}.", path.parent)
        partial = Path(name)
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        _move(partial, path, replaces=replaces)
        _sync_folder(path.parent)
    except OSError as error:
        raise InputRefused(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        if partial is not None:
            with suppress(OSError):
                partial.unlink(missing_ok=True)


def _move(partial: Path, path: Path, *, replaces: bool) -> None:
    if replaces:
        partial.replace(path)
        return
    try:
        # Unlike a rename, a link never replaces what another process wrote meanwhile.
        os.link(partial, path)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(path):
            raise _exists(path) from None
        partial.rename(path)


def _sync_folder(folder: Path) -> None:
    """Make the new name durable, if the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _exists(path: Path) -> InputRefused:
    return InputRefused(f"{path} exists: name another file, or replace it with --force")
