"""Reads the files of a folder as they are in a git revision, without a checkout."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from hookstream.adapters.file_tree import shown
from hookstream.errors import ConfigurationError, InputRefused

_SECONDS: Final = 60.0
"""The longest that git may take for one answer."""
_REGULAR: Final = ("100644", "100755")
"""The modes of regular files in a tree; others are links and submodules."""
_AT_ONCE: Final = 500
"""How many files are requested at once, all of which are in memory."""


class _Blob(NamedTuple):
    """One regular file of a tree."""

    path: str
    name: str
    """The name of its object."""
    size: int


def write_folder_at(
    folder: Path, revision: str, into: Path, *, most: int, most_bytes: int
) -> bool:
    """Write the regular files that a folder has in a revision; return False if it has no such folder.

    Files are written as they are in git's objects: attributes and filters change nothing.

    Args:
        folder: A folder in a git working tree, which need not be clean.
        revision: Anything that git understands as a commit.
        into: An empty folder.
        most: How many files are taken.
        most_bytes: The largest file that is written; of a larger one, one byte more, all zero.

    Raises:
        ConfigurationError: There is no git, or the folder is in no working tree.
        InputRefused: git knows no such revision, or it has more files.
    """
    prefix = _git(folder, "rev-parse", "--show-prefix").decode("utf-8", "surrogateescape")
    commit = _commit(folder, revision)
    tree = f"{commit}:{prefix.rstrip(chr(10))}"
    if not _exists(folder, tree):
        return False
    blobs = list(_blobs(folder, tree))
    if len(blobs) > most:
        raise InputRefused(f"{shown(folder)} has more than {most} files in {revision}")
    for at in range(0, len(blobs), _AT_ONCE):
        some = blobs[at : at + _AT_ONCE]
        contents = _contents(folder, [blob.name for blob in some if blob.size <= most_bytes])
        for blob in some:
            path = into / blob.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(contents.get(blob.name, bytes(most_bytes + 1)))
    return True


def _commit(folder: Path, revision: str) -> str:
    try:
        asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        return _git(folder, *asked).decode().strip()
    except _GitFailed:
        raise InputRefused(
            f"{revision!a} is neither a folder nor a git revision here; a shallow clone has only"
            " the newest one: fetch the other, or name a folder"
        ) from None


def _exists(folder: Path, tree: str) -> bool:
    try:
        _git(folder, "cat-file", "-e", tree)
    except _GitFailed:
        return False
    return True


def _blobs(folder: Path, tree: str) -> Iterator[_Blob]:
    """Yield the regular files of a tree."""
    listed = _git(folder, "ls-tree", "-r", "-l", "-z", "--full-tree", tree)
    for entry in listed.split(b"\0"):
        about, _, path = entry.decode("utf-8", "surrogateescape").partition("\t")
        parts = about.split()
        if parts and parts[0] in _REGULAR:
            yield _Blob(path, parts[2], int(parts[3]))


def _contents(folder: Path, names: Sequence[str]) -> dict[str, bytes]:
    """Return the contents of blobs by their names."""
    answer = _git(folder, "cat-file", "--batch", given="".join(f"{name}\n" for name in names))
    found: dict[str, bytes] = {}
    at = 0
    while at < len(answer):
        head_end = answer.index(b"\n", at) + 1
        name, _, size = answer[at:head_end].decode().split()
        at = head_end + int(size) + 1
        found[name] = answer[head_end : at - 1]
    return found


class _GitFailed(InputRefused):
    """git ended with an error."""


def _git(folder: Path, *arguments: str, given: str = "") -> bytes:
    environ = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(  # noqa: S603  a fixed command, its arguments no options
            ["git", "-C", os.fspath(folder), *arguments],  # noqa: S607  the caller's git
            input=given.encode(),
            capture_output=True,
            check=False,
            timeout=_SECONDS,
            env=environ,
        )
    except FileNotFoundError:
        raise ConfigurationError(
            "git is not installed, and a revision can only be read with it: name a folder instead"
        ) from None
    except subprocess.TimeoutExpired:
        raise ConfigurationError(f"git did not answer within {_SECONDS:g} s") from None
    if done.returncode:
        why = done.stderr.decode("utf-8", "replace").strip()[:300]
        if "not a git repository" in why:
            raise ConfigurationError(
                f"{shown(folder)} is in no git working tree, so it has no revisions: name a folder"
            )
        raise _GitFailed(f"git {arguments[0]}: {why}")
    return done.stdout
