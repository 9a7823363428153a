"""Errors of an hour are kept apart within bounds, and a partner gets its own alone."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest
from tests.doubles.index_log import START, IndexLog, SilentLog, entry_for, indexed

from hookstream.adapters.index.answers import Whose
from hookstream.adapters.index.error_rows import (
    SCHEMA,
    ErrorRows,
    GatheredErrors,
    errors_seen,
)
from hookstream.adapters.index.folder import Family
from hookstream.adapters.index.packing import packed_delivery
from hookstream.adapters.index.reader import IndexReader
from hookstream.adapters.index.writer import IndexWriter
from hookstream.core.audit.entry import AuditEntry
from hookstream.core.failures.distinct import MOST_HASHES
from hookstream.core.failures.groups import Errors
from hookstream.core.model.instant import HOUR
from hookstream.core.statistics.errors import MOST_PATTERNS, OTHERS, Fingerprint
from hookstream.errors import DependencyUnavailable

WORDS = ["".join(letters) for letters in product("abcdefgh", repeat=3)]


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    opened = sqlite3.connect(":memory:")
    opened.executescript(
        SCHEMA + "CREATE TABLE names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
    )
    yield opened
    opened.close()


def rows(db: sqlite3.Connection, most: int = 5_000) -> ErrorRows:
    def number(name: str) -> int:
        db.execute("INSERT OR IGNORE INTO names (name) VALUES (?)", (name,))
        return int(db.execute("SELECT id FROM names WHERE name = ?", (name,)).fetchone()[0])

    return ErrorRows(
        db, lambda subscription, partner: (number(subscription), number(partner)), most
    )


def failed(event: int, error: str = "timed out", **more: str) -> AuditEntry:
    return entry_for(
        event,
        at=START + event,
        outcome="failed",
        disposition="retry",
        status=None,
        error=error,
        subscription=more.get("subscription", "shop"),
        partner=more.get("partner", "acme"),
    )


def add(into: ErrorRows, *entries: AuditEntry) -> None:
    into.add((each, packed_delivery(each.delivery_id)) for each in entries)


def counts(db: sqlite3.Connection) -> dict[Errors, tuple[int, int]]:
    gathered = GatheredErrors()
    gathered.add(errors_seen(db, None, None))
    return {
        errors: (seen.count, seen.deliveries.count) for errors, seen in gathered.errors().items()
    }


def errors_of(text: str, subscription: str = "shop", partner: str = "acme") -> Errors:
    return Errors(partner, Fingerprint(subscription, "failed", None, text))


def others(subscription: str = "shop", partner: str = "acme") -> Errors:
    return Errors(partner, Fingerprint(subscription, "none", None, OTHERS))


def test_attempts_of_one_delivery_are_one_delivery_in_whatever_batches_they_come(
    db: sqlite3.Connection,
) -> None:
    into = rows(db)
    for events in ([1, 2, 2], [2, 3]):
        add(into, *map(failed, events))
    assert counts(db) == {errors_of("timed out"): (5, 3)}


def test_many_deliveries_are_counted_nearly_and_take_a_kilobyte(db: sqlite3.Connection) -> None:
    into = rows(db)
    for start in range(0, 20_000, 5_000):
        add(into, *map(failed, range(start, start + 5_000)))
    [(count, deliveries)] = counts(db).values()
    assert count == 20_000
    assert abs(deliveries - 20_000) < 4_000
    [size] = db.execute("SELECT length(deliveries) FROM errors").fetchone()
    assert size == 8 * MOST_HASHES


def test_beyond_the_bounds_of_a_subscription_and_an_hour_errors_count_together(
    db: sqlite3.Connection,
) -> None:
    into = rows(db, MOST_PATTERNS + 3)
    add(into, *(failed(at, word) for at, word in enumerate(WORDS[: MOST_PATTERNS + 10])))
    add(into, failed(1, "one", subscription="crm"), failed(2, "one", subscription="news"))
    add(into, failed(3, "two", subscription="news"), failed(4, "three", subscription="news"))
    found = counts(db)
    assert found[others()] == (10, 10)
    assert found[errors_of("one", "crm")] == (1, 1)
    assert found[errors_of("one", "news")] == (1, 1)
    # Full: what is known goes on, what is new has no row of its own.
    assert found[others("news")] == (2, 2)
    assert len(found) == MOST_PATTERNS + 4
    add(into, failed(5, WORDS[0]))
    assert counts(db)[errors_of(WORDS[0])] == (2, 2)


def test_what_was_counted_in_a_transaction_that_failed_is_forgotten(
    db: sqlite3.Connection,
) -> None:
    into = rows(db, 2)
    db.execute("BEGIN")
    add(into, failed(1, "one"), failed(2, "two"))
    db.rollback()
    into.forget()
    add(into, failed(1, "three"), failed(2, "four"))
    assert set(counts(db)) == {errors_of("three"), errors_of("four")}


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[IndexReader]:
    """An index of two hours, in which a subscription passes from one partner to another."""
    log = IndexLog()
    for hour, partner in ((0, "acme"), (1, "globex")):
        for event in range(3):
            entry = failed(hour * HOUR + event, f"{partner}'s words", partner=partner)
            log.append(START + hour * HOUR + event, entry)
        ok = entry_for(50 + hour, at=START + hour * HOUR + 9, partner=partner)
        log.append(START + hour * HOUR + 9, ok)
    writer = IndexWriter(tmp_path, most_bytes=1 << 30, log=SilentLog())
    for start in reversed(log.hours()):
        records = log.of_hour(start)
        known = {each.where: each.offset + 1 for each in records}
        writer.begin(Family.ATTEMPTS, start)
        writer.attempts(start, [*map(indexed, records)], [], known, "hookstream.attempts")
        writer.complete(Family.ATTEMPTS, start)
    writer.read_up_to({"read_to": START + 2 * HOUR, "beat": START})
    writer.close()
    opened = IndexReader(tmp_path, lambda: START)
    yield opened
    opened.close()


def test_a_partner_gets_nothing_of_who_had_its_subscription_before(reader: IndexReader) -> None:
    for partner in ("acme", "globex"):
        found = reader.failures(Whose(partner, frozenset({"shop"})), START)
        assert list(found.errors) == [errors_of(f"{partner}'s words", partner=partner)]
        whose = Whose(partner)
        until = START + 2 * HOUR
        counted = reader.statistics(whose, START, until, HOUR, now=until)
        assert [each.fingerprint.text for each in counted.errors] == [f"{partner}'s words"]
    assert reader.failures(Whose("nobody"), START).errors == {}


def test_only_hours_from_an_instant_on_are_looked_through(reader: IndexReader) -> None:
    found = reader.failures(Whose(), START + HOUR)
    assert (found.since, found.until) == (START + HOUR, START + 2 * HOUR)
    assert list(found.errors) == [errors_of("globex's words", partner="globex")]
    assert found.successes == {"shop": START + HOUR + 9}
    assert reader.failures(Whose(), 0).since == START


def test_after_so_many_errors_no_older_hour_is_looked_at_and_the_answer_says_so(
    reader: IndexReader,
) -> None:
    # Each hour has one, and counts as fifty more.
    for most, since, partners in (
        (51, START + HOUR, {"globex"}),
        (52, START, {"acme", "globex"}),
        (1_000, START, {"acme", "globex"}),
    ):
        found = reader.failures(Whose(), START, most=most)
        assert (found.since, {each.partner_id for each in found.errors}) == (since, partners)
        assert found.successes == {}


def test_deliveries_are_counted_where_that_is_asked_for(reader: IndexReader) -> None:
    for deliveries, count in ((True, 3), (False, 0)):
        [seen] = reader.failures(Whose("acme"), START, deliveries=deliveries).errors.values()
        assert (seen.count, seen.deliveries.count) == (3, count)


def test_an_index_that_has_read_nothing_is_asked_again(tmp_path: Path) -> None:
    IndexWriter(tmp_path, most_bytes=1 << 30, log=SilentLog()).close()
    with (
        closing(IndexReader(tmp_path, lambda: START)) as opened,
        pytest.raises(DependencyUnavailable, match="try again"),
    ):
        opened.failures(Whose(), START)
