"""A file appears whole or not at all, and never over another unless that is asked for."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hookstream.adapters.whole_file import PARTIAL, whole_file
from hookstream.errors import InputRefused


def write(path: Path, text: bytes, *, replaces: bool = False) -> None:
    with whole_file(path, replaces=replaces) as stream:
        stream.write(text)


def test_a_file_appears_when_it_is_complete_and_only_its_user_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "letters.jsonl"
    with whole_file(path, replaces=False) as stream:
        stream.write(b"one\n")
        stream.flush()
        assert not path.exists()
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"one\n", 0o600)
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="halfway"), whole_file(tmp_path / "f", replaces=True):
        raise ValueError("halfway")
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_leaves_what_was_there_and_a_partial_file(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"old")
    program = (
        "import os, pathlib, signal, sys\n"
        "from hookstream.adapters.whole_file import whole_file\n"
        "with whole_file(pathlib.Path(sys.argv[1]), replaces=True) as stream:\n"
        "    stream.write(b'half')\n"
        "    stream.flush()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(path)], check=False)  # noqa: S603
    left = sorted(each.name for each in tmp_path.iterdir())
    assert ended.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    assert len(left) == 2
    assert left[0].endswith(PARTIAL)


def test_a_file_that_exists_is_replaced_on_request_alone(tmp_path: Path) -> None:
    path = tmp_path / "f"
    write(path, b"one")
    with pytest.raises(InputRefused, match="f exists: name another file, or replace it"):
        write(path, b"two")
    assert path.read_bytes() == b"one"
    write(path, b"two", replaces=True)
    assert path.read_bytes() == b"two"


def test_a_file_that_another_process_writes_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "f"
    ours = whole_file(path, replaces=False)
    ours.__enter__().write(b"ours")
    path.write_bytes(b"theirs")
    with pytest.raises(InputRefused, match="exists"):
        ours.__exit__(None, None, None)
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"theirs"]


def test_a_file_system_without_hard_links_is_served_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EPERM, "not permitted")

    monkeypatch.setattr(os, "link", refused)
    write(tmp_path / "f", b"one")
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"one"]


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name, why in (
        ("folder", "is a folder: name a file"),
        ("absent/f", "absent/f cannot be written: No such file or directory"),
        ("dangling", "exists"),
    ):
        with pytest.raises(InputRefused, match=why):
            write(tmp_path / name, b"one")
