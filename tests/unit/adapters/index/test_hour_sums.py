"""Sums over a closed hour say what its minutes say, whenever they were made and whatever comes after."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from tests.doubles.index_log import (
    ATTEMPTS,
    START,
    IndexLog,
    SilentLog,
    entry_for,
    indexed,
    pending,
    waiting_for,
)

from hookstream.adapters.index import hour_sums
from hookstream.adapters.index.folder import Family, IndexFile, IndexFolder
from hookstream.adapters.index.hour_reader import HourReader
from hookstream.adapters.index.writer import IndexWriter
from hookstream.core.audit.entry import AuditEntry
from hookstream.core.model.delivery import DeferReason
from hookstream.core.model.instant import HOUR, MINUTE
from hookstream.core.statistics.attempts import CountedAttempts
from hookstream.core.statistics.counts import CountedRuns
from hookstream.core.statistics.overview import Steps

NOW = START + 3 * HOUR
STEPS = Steps(START - 2 * HOUR, NOW, HOUR)
SHOPS = 12

Numbers: TypeAlias = dict[str, tuple[list[CountedRuns], list[CountedAttempts]]]
"""By whose they are."""


def an_hour() -> IndexLog:
    """Deliveries of a dozen subscriptions, of which every third is retried, some held before, and in the next hour."""
    log = IndexLog()
    for event in range(3 * SHOPS):
        at = START + event * MINUTE
        failed = event % 3 == 0
        entry = entry_for(
            event,
            at=at,
            subscription=f"shop-{event % SHOPS}",
            partner=f"partner-{event % 4}",
            outcome="failed" if failed else "delivered",
            disposition="retry" if failed else "complete",
            status=503 if failed else 200,
            duration_us=1_000 * (event + 1),
        )
        if event % 9 == 0:
            log.append(at, waiting_for(entry, due_at=at, reason=DeferReason.HELD))
        log.append(at, entry)
    return log


def late(log: IndexLog) -> None:
    """Append second attempts of that hour's deliveries, an hour later."""
    for event in range(0, 3 * SHOPS, 3):
        entry = entry_for(
            event,
            at=START + HOUR + event * MINUTE,
            attempt=2,
            trigger="retry",
            subscription=f"shop-{event % SHOPS}",
            partner=f"partner-{event % 4}",
            origin_at=START + event * MINUTE,
        )
        log.append(START + HOUR + event * MINUTE, entry)


def write(writer: IndexWriter, log: IndexLog, hour: int) -> None:
    writer.begin(Family.ATTEMPTS, hour)
    records = log.of_hour(hour)
    writer.attempts(
        hour,
        [indexed(each) for each in records if isinstance(each.what, AuditEntry)],
        [pending(each) for each in records if not isinstance(each.what, AuditEntry)],
        {each.where: each.offset + 1 for each in records},
        ATTEMPTS,
    )


def first_of(folder: Path) -> IndexFile:
    return IndexFolder(folder).file(Family.ATTEMPTS, START)


def numbers(folder: Path) -> Numbers:
    """Return what is counted of the first hour in one step, of everybody that it has."""
    reader = HourReader(first_of(folder))
    whose = {
        "everything": reader.whose(None, None),
        **{f"partner-{each}": reader.whose(f"partner-{each}", None) for each in range(4)},
        **{f"shop-{each}": reader.whose(None, {f"shop-{each}"}) for each in range(SHOPS)},
    }
    found = {
        name: (
            sorted(
                each._replace(minute=START) for each in reader.counts_of_steps(who, STEPS, NOW)
            ),
            [each._replace(at=START) for each in reader.attempts_of_steps(who, STEPS)],
        )
        for name, who in whose.items()
    }
    reader.close()
    return found


def forget_minutes(folder: Path) -> None:
    """Remove the minutes of the first hour, so that only its sums are left."""
    opened = sqlite3.connect(first_of(folder).path)
    opened.execute("DELETE FROM minutes WHERE minute >= 0")
    opened.execute("DELETE FROM attempt_minutes WHERE minute >= 0")
    opened.commit()
    opened.close()


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[IndexWriter]:
    opened = IndexWriter(tmp_path, most_bytes=1 << 30, log=SilentLog())
    write(opened, an_hour(), START)
    yield opened
    opened.close()


def close_first(writer: IndexWriter) -> None:
    writer.complete(Family.ATTEMPTS, START)
    writer.begin(Family.ATTEMPTS, START + HOUR)


def test_a_closed_hour_is_summed_up_once_and_read_without_its_minutes(
    writer: IndexWriter, tmp_path: Path
) -> None:
    by_minutes = numbers(tmp_path)
    assert all(runs and attempts for runs, attempts in by_minutes.values())
    close_first(writer)
    writer.maintain()
    forget_minutes(tmp_path)
    assert numbers(tmp_path) == by_minutes


def test_a_late_attempt_changes_the_sums_with_the_minutes_of_its_events_hour(
    writer: IndexWriter, tmp_path: Path
) -> None:
    log = an_hour()
    late(log)
    close_first(writer)
    before = numbers(tmp_path)
    writer.maintain()
    write(writer, log, START + HOUR)
    by_sums = numbers(tmp_path)
    assert by_sums["everything"] != before["everything"]
    other = IndexWriter(tmp_path / "never-summed", most_bytes=1 << 30, log=SilentLog())
    for hour in log.hours():
        write(other, log, hour)
    other.close()
    assert by_sums == numbers(tmp_path / "never-summed")


def test_sums_that_a_process_did_not_finish_are_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hour_sums, "_AT_ONCE", 3)
    writer = IndexWriter(tmp_path, most_bytes=1 << 30, log=SilentLog())
    log = an_hour()
    write(writer, log, START)
    by_minutes = numbers(tmp_path)
    close_first(writer)
    for _ in range(3):
        writer.maintain()
        # Of some the sums are kept by now, of others they are not.
        assert numbers(tmp_path) == by_minutes
    assert not first_of(tmp_path).filter.exists()
    writer.close()
    late(log)
    writer = IndexWriter(tmp_path, most_bytes=1 << 30, log=SilentLog())
    write(writer, log, START + HOUR)
    meanwhile = numbers(tmp_path)
    assert meanwhile != by_minutes
    while not first_of(tmp_path).filter.exists():
        writer.maintain()
        assert numbers(tmp_path) == meanwhile
    writer.close()
    forget_minutes(tmp_path)
    assert numbers(tmp_path) == meanwhile
