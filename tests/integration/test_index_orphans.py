"""The process that writes the index ends with the console that started it."""

import multiprocessing
import os
from pathlib import Path

import pytest

from hookstream.entry.admin.index_process import follow_until_orphaned
from hookstream.settings import load

pytestmark = pytest.mark.timeout(300)


def test_an_index_writer_whose_console_was_killed_while_it_started_ends(tmp_path: Path) -> None:
    # No process has this parent: as if the console had gone before the new process came so far.
    gone = os.getppid()
    settings = load(None, {}, {"kafka.bootstrap_servers": "127.0.0.1:9"})
    asked = (settings, tmp_path, 1_000_000, gone)
    process = multiprocessing.get_context("spawn").Process(
        target=follow_until_orphaned, args=asked
    )
    process.start()
    try:
        process.join(120)
        assert process.exitcode == 0
    finally:
        process.kill()
        process.join()
