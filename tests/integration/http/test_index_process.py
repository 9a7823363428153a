"""The process that writes an index ends with the one that started it, whenever that is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.conftest import ROOT

from hookstream.entry.admin.index_process import IndexProcess
from hookstream.settings import load

pytestmark = pytest.mark.timeout(400)

STARTED_AND_KILLED = """
import os, signal, sys
from pathlib import Path
from hookstream.entry.admin.index_process import IndexProcess
from hookstream.settings import load

settings = load(None, {}, {"kafka.bootstrap_servers": "127.0.0.1:1", "log.level": "error"})
process = IndexProcess(settings, Path(sys.argv[1]), 1 << 30)
process.ensure_running()
Path(sys.argv[1], "pid").write_text(str(process.pid))
os.kill(os.getpid(), signal.SIGKILL)
"""
"""It is gone long before the new process has its imports."""


def test_the_process_of_an_index_whose_console_is_killed_at_once_ends(tmp_path: Path) -> None:
    console = subprocess.run(  # noqa: S603  our own script
        [sys.executable, "-c", STARTED_AND_KILLED, str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    assert console.returncode == -signal.SIGKILL
    writer = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 120
    try:
        while is_running(writer):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        if is_running(writer):
            os.kill(writer, signal.SIGKILL)


def test_the_process_of_an_index_that_was_stopped_is_not_started_again(tmp_path: Path) -> None:
    """A console may look whether it runs in the instant in which it stops."""
    settings = load(None, {}, {"kafka.bootstrap_servers": "127.0.0.1:1", "log.level": "error"})
    process = IndexProcess(settings, tmp_path, 1 << 30)
    process.stop()
    assert process.ensure_running()
    assert process.pid is None


def is_running(pid: int) -> bool:
    """Return whether a process runs; one that nobody has waited for yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
