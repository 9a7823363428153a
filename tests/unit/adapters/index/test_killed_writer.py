"""A writer that is killed with SIGKILL at any instant counts nothing twice and leaves nothing out."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.doubles.index_feeder import made
from tests.doubles.index_log import START, counted_naively

from hookstream.adapters.index.answers import AttemptFilter, Whose
from hookstream.adapters.index.packing import packed_delivery
from hookstream.adapters.index.reader import IndexReader
from hookstream.core.audit.entry import AuditEntry
from hookstream.core.failures.distinct import HASH_BYTES, Distinct
from hookstream.core.model.instant import HOUR, MINUTE
from hookstream.core.statistics.overview import OverviewWindow

EVENTS = 3_000
NOW = START + 3 * HOUR


def fed(folder: Path, seconds: float | None) -> bool:
    """Run the writer, killed after a time; return whether it came to its end."""
    command = [sys.executable, "-m", "tests.doubles.index_feeder", str(folder), str(EVENTS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603  our own
        if seconds is not None:
            began = time.monotonic()
            # Its start takes about a second: what is to be interrupted comes after it.
            while not any(folder.glob("attempts-*.db")) and process.poll() is None:
                assert time.monotonic() - began < 60
                time.sleep(0.01)
            time.sleep(seconds)
            process.kill()
        assert process.stdout is not None
        return b"done" in process.stdout.read()


def hashed(delivery_id: str) -> int:
    packed = packed_delivery(delivery_id)
    assert isinstance(packed, bytes)
    return int.from_bytes(packed[-HASH_BYTES:], "big")


@pytest.mark.real_time
@pytest.mark.timeout(300)
def test_a_writer_that_is_killed_at_any_instant_counts_nothing_twice_and_misses_nothing(
    tmp_path: Path,
) -> None:
    chance = random.Random(7)
    killed = sum(not fed(tmp_path, chance.uniform(0, 0.4)) for _ in range(6))
    assert killed, "the writer was never interrupted, so this test showed nothing"
    assert fed(tmp_path, None)

    log = made(EVENTS)
    reader = IndexReader(tmp_path, lambda: START)
    found = reader.statistics(Whose(), START, NOW, MINUTE, now=NOW)
    expected = counted_naively(log.records, NOW)
    assert dict(found.steps) == expected
    entries = [each for each in log.records if isinstance(each.what, AuditEntry)]
    places, after = [], None
    while True:
        page = reader.attempts(AttemptFilter(), after, limit=500)
        places += [(each.at, each.partition, each.offset) for each in page.items]
        after = page.after
        if after is None:
            break
    assert places == sorted(
        ((each.at, each.partition, each.offset) for each in entries), reverse=True
    )
    assert sum(each.count for each in found.errors) == sum(
        each.what.disposition == "retry" for each in entries if isinstance(each.what, AuditEntry)
    )
    overview = reader.overview(Whose(), OverviewWindow.ALL, now=NOW)
    assert overview.attempts.attempts == len(entries)
    assert overview.attempts.failed == sum(each.failed for each in overview.worst)
    failed = [each.what for each in entries if isinstance(each.what, AuditEntry)]
    failed = [each for each in failed if each.disposition == "retry"]
    seen = reader.failures(Whose(), START)
    assert {key.fingerprint.subscription_id: each.count for key, each in seen.errors.items()} == {
        f"shop-{at}": sum(each.subscription_id == f"shop-{at}" for each in failed)
        for at in range(5)
    }
    # As many as are kept of so many deliveries, whatever was read twice.
    assert {
        key.fingerprint.subscription_id: each.deliveries for key, each in seen.errors.items()
    } == {
        f"shop-{at}": Distinct.of(
            hashed(each.delivery_id) for each in failed if each.subscription_id == f"shop-{at}"
        )
        for at in range(5)
    }
    reader.close()
