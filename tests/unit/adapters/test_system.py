"""The one place that may read clocks and chance reads the right ones."""

import asyncio
import os
import subprocess
import sys
import time

import pytest

from hookstream.adapters.system import (
    SystemChance,
    SystemClock,
    new_id,
    random_bytes,
    worker_name,
)


def test_the_wall_clock_counts_milliseconds_since_the_epoch() -> None:
    before = time.time() * 1000 - 1
    now = SystemClock().now()
    assert before <= now <= time.time() * 1000 + 1


@pytest.mark.real_time
async def test_monotonic_time_is_the_time_of_the_event_loop() -> None:
    """Deadlines are made from one and awaited on the other: they must not differ."""
    assert abs(SystemClock().monotonic() - asyncio.get_running_loop().time()) < 0.1


def test_chance_lies_in_the_half_open_unit_interval() -> None:
    chance = SystemChance()
    assert all(0 <= chance.fraction() < 1 for _ in range(100))


def test_ids_differ_and_are_plain_hex() -> None:
    first, second = new_id(), new_id()
    assert first != second
    assert len(bytes.fromhex(first)) == 16


def test_random_bytes_come_in_the_requested_number() -> None:
    assert len(random_bytes(12)) == 12
    assert random_bytes(12) != random_bytes(12)


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "allowed"),
    [(128, 300, 200, 200), (128, 300, 500, 300), (256, 300, 200, 200)],
)
def test_a_process_may_open_as_many_files_as_it_wants_up_to_the_hard_limit(
    soft: int, hard: int, wanted: int, allowed: int
) -> None:
    """In its own process: a limit that was lowered cannot be raised again."""
    text = (
        "import resource, hookstream.adapters.system as system\n"
        "limit = resource.RLIMIT_NOFILE\n"
        f"resource.setrlimit(limit, ({soft}, {hard}))\n"
        f"print(system.open_files({wanted}), resource.getrlimit(limit)[0])"
    )
    finished = subprocess.run(  # noqa: S603  our own interpreter and code
        [sys.executable, "-c", text], capture_output=True, text=True, check=True
    )
    assert finished.stdout.split() == [str(allowed), str(max(soft, allowed))]


def test_a_worker_is_called_as_configured_or_else_by_host_and_process() -> None:
    assert worker_name("printer-1") == "printer-1"
    assert worker_name().endswith(f"-{os.getpid()}")
