"""Lists of runs: each is read from its newest entry, at the place that its event's hour has of it."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from tests.doubles.index_log import (
    ATTEMPTS,
    START,
    IndexLog,
    Logged,
    SilentLog,
    entry_for,
    indexed,
)

from hookstream.adapters.index.answers import AttemptFilter, DeliveryFilter
from hookstream.adapters.index.folder import Family, IndexFolder
from hookstream.adapters.index.hour_reader import HourReader
from hookstream.adapters.index.reader import IndexReader
from hookstream.adapters.index.selecting import lives_before, met
from hookstream.adapters.index.writer import IndexWriter
from hookstream.core.audit.entry import AuditEntry
from hookstream.core.model.instant import HOUR, MINUTE
from hookstream.core.model.record import TopicPartition

NOW = START + 2 * HOUR
LATE = START + HOUR + MINUTE


class Died(Exception):
    """The process ended here."""


class DyingPositions(dict[TopicPartition, int]):
    """Positions that are never written: the process dies after other hours' states were committed."""

    def items(self) -> NoReturn:
        raise Died


def first(event: int) -> AuditEntry:
    return entry_for(
        event,
        at=START + event * MINUTE,
        outcome="failed",
        disposition="retry",
        status=503,
        error="answered 503",
    )


def again(event: int) -> AuditEntry:
    """Its second attempt, an hour later."""
    return entry_for(event, at=LATE, attempt=2, trigger="retry", origin_at=START + event * MINUTE)


def a_log() -> IndexLog:
    """Three deliveries that failed at first, of which the last two were delivered in the next hour."""
    log = IndexLog()
    for event in range(3):
        log.append(START + event * MINUTE, first(event))
    for event in (1, 2):
        log.append(LATE, again(event), event % 2)
    return log


def write(
    writer: IndexWriter, records: Sequence[Logged], positions: dict[TopicPartition, int]
) -> None:
    hour = records[0].at // HOUR * HOUR
    writer.begin(Family.ATTEMPTS, hour)
    writer.attempts(hour, [indexed(each) for each in records], [], positions, ATTEMPTS)


def write_all(folder: Path, log: IndexLog) -> IndexWriter:
    writer = IndexWriter(folder, most_bytes=1 << 30, log=SilentLog())
    for hour in reversed(log.hours()):
        records = log.of_hour(hour)
        write(writer, records, {each.where: each.offset + 1 for each in records})
        writer.complete(Family.ATTEMPTS, hour)
    writer.read_up_to({"read_to": NOW, "beat": NOW})
    return writer


def listed(folder: Path, wanted: DeliveryFilter | None = None) -> list[tuple[str, str, int, str]]:
    reader = IndexReader(folder, lambda: NOW)
    found = reader.deliveries(wanted or DeliveryFilter()).items
    reader.close()
    return [
        (each.state.event_id, each.state.state.value, each.state.attempt, each.state.last)
        for each in found
    ]


AS_THEY_ARE = [
    ("event-2", "completed", 2, "delivered 200"),
    ("event-1", "completed", 2, "delivered 200"),
    ("event-0", "pending", 1, "failed 503"),
]


def forget_ids(folder: Path) -> None:
    """Remove all by which attempts are found by an id."""
    for file in IndexFolder(folder).files(Family.ATTEMPTS):
        opened = sqlite3.connect(file.path)
        opened.execute("DELETE FROM blocks")
        opened.execute("DELETE FROM runs")
        opened.commit()
        opened.close()


def test_a_list_of_runs_looks_up_no_id(tmp_path: Path) -> None:
    write_all(tmp_path, a_log()).close()
    forget_ids(tmp_path)
    assert listed(tmp_path) == AS_THEY_ARE


def test_a_run_that_is_noted_before_its_entry_is_listed_by_the_entries_that_are_there(
    tmp_path: Path,
) -> None:
    log = a_log()
    earlier, later = (log.of_hour(hour) for hour in log.hours())
    writer = IndexWriter(tmp_path, most_bytes=1 << 30, log=SilentLog())
    write(writer, earlier, {each.where: each.offset + 1 for each in earlier})
    writer.complete(Family.ATTEMPTS, START)
    with pytest.raises(Died):
        write(writer, later, DyingPositions({each.where: each.offset + 1 for each in later}))
    writer.read_up_to({"read_to": NOW, "beat": NOW})
    assert listed(tmp_path) == [
        (f"event-{event}", "pending", 1, "failed 503") for event in (2, 1, 0)
    ]
    # It is read again by the next process.
    writer.close()
    writer = IndexWriter(tmp_path, most_bytes=1 << 30, log=SilentLog())
    write(writer, later, {each.where: each.offset + 1 for each in later})
    writer.close()
    assert listed(tmp_path) == AS_THEY_ARE


def test_a_run_whose_events_hour_is_not_kept_is_listed_by_its_event(tmp_path: Path) -> None:
    writer = write_all(tmp_path, a_log())
    writer.raise_floor(Family.ATTEMPTS, START + HOUR)
    writer.read_up_to({"read_to": NOW})
    writer.close()
    assert listed(tmp_path, DeliveryFilter(event_id="event-1")) == AS_THEY_ARE[1:2]


def test_the_pages_of_an_entity_with_many_runs_are_full(tmp_path: Path) -> None:
    """What the pages before one had looked at counted as looked at by that one, too."""
    log = IndexLog()
    for event in range(220):
        log.append(START + event, entry_for(event, at=START + event, entity="quote-7"))
    write_all(tmp_path, log).close()
    reader, wanted = IndexReader(tmp_path, lambda: NOW), DeliveryFilter(entity_id="quote-7")
    pages = [reader.deliveries(wanted, limit=100)]
    while pages[-1].after is not None:
        pages.append(reader.deliveries(wanted, pages[-1].after, limit=100))
    reader.close()
    assert [len(page.items) for page in pages] == [100, 100, 20]
    listed_events = [each.state.event_id for page in pages for each in page.items]
    assert listed_events == [f"event-{event}" for event in reversed(range(220))]


def test_an_end_without_an_attempt_keeps_the_entity_of_the_attempts_before(tmp_path: Path) -> None:
    log = IndexLog()
    log.append(START, first(0))
    ended = entry_for(
        0,
        at=START + MINUTE,
        outcome=None,
        disposition="cancel",
        status=None,
        reason="deleted",
        origin_at=START,
    )
    log.append(START + MINUTE, replace(ended, entity_id=""))
    write_all(tmp_path, log).close()
    reader = IndexReader(tmp_path, lambda: NOW)
    [found] = reader.deliveries(DeliveryFilter()).items
    reader.close()
    assert (found.state.state.value, found.entity_id) == ("cancelled", "quote-0")


def test_a_list_meets_nothing_from_before_its_interval(tmp_path: Path) -> None:
    write_all(tmp_path, a_log()).close()
    reader = HourReader(IndexFolder(tmp_path).file(Family.ATTEMPTS, START))
    since = START + MINUTE
    runs = lives_before(reader, DeliveryFilter(since=since), None)
    of_everybody = met(reader, AttemptFilter(since=since), None)
    of_an_entity = met(reader, AttemptFilter(since=since, entity_id="quote-0"), None)
    assert [life.key.origin.offset for _, life in runs] == [2, 1]
    assert [each.place[0] for each in of_everybody] == [START + 2 * MINUTE, since]
    assert [*of_an_entity] == []
    reader.close()
