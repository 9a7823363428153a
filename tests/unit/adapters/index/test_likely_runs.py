"""Lists of runs in some states: none is missing, and what is in no wanted state is not worked out one by one."""

import random
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path

import pytest
from tests.doubles.api_records import purged_letter
from tests.doubles.index_log import (
    ATTEMPTS,
    START,
    TIER,
    IndexLog,
    SilentLog,
    entry_for,
    indexed,
    waiting_for,
)

from hookstream.adapters.index.answers import DeliveryFilter, IndexedDelivery
from hookstream.adapters.index.aside_file import IndexedAside
from hookstream.adapters.index.folder import Family, IndexFolder
from hookstream.adapters.index.now_file import Waiting
from hookstream.adapters.index.reader import IndexReader
from hookstream.adapters.index.writer import IndexWriter
from hookstream.core.audit.entry import AuditEntry
from hookstream.core.audit.history import DeliveryState
from hookstream.core.audit.run_states import PendingRecord
from hookstream.core.model.instant import DAY, HOUR, MINUTE, SECOND, Millis
from hookstream.core.redrive.marks import Mark, OffsetRange, Position, Purged, RedriveSource
from hookstream.core.redrive.summary import DeadLetterSummary

DEAD = RedriveSource.DEAD_LETTERS
STATES = (
    DeliveryState.COMPLETED,
    DeliveryState.PENDING,
    DeliveryState.CANCELLED,
    DeliveryState.DEAD_LETTERED,
)
TYPES = ("pricing.completed", "order.generated")
PAGE = 50


@dataclass
class Records:
    """What an index reads."""

    log: IndexLog = field(default_factory=IndexLog)
    tiers: list[PendingRecord] = field(default_factory=list)
    letters: list[DeadLetterSummary] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)

    def attempt(self, entry: AuditEntry) -> None:
        self.log.append(entry.started_at, entry)

    def wait(self, entry: AuditEntry) -> None:
        at = entry.started_at
        delivery = waiting_for(entry, due_at=at + 5 * SECOND)
        self.tiers.append(PendingRecord(delivery, TIER, 0, len(self.tiers), at))

    def die(self, entry: AuditEntry, *, redriven: bool = False, purged: bool = False) -> None:
        offset = len(self.letters)
        self.letters.append(
            replace(
                purged_letter(entry).summary,
                position=Position(0, offset),
                at=entry.started_at,
                attempt=str(entry.attempt),
                job=entry.job_id or "",
                origin=entry.origin.place,
            )
        )
        if redriven or purged:
            by = Purged("ann", "old", entry.started_at) if purged else None
            self.marks.append(
                Mark(f"job-{offset}", DEAD, 0, (OffsetRange(offset, offset),), purged=by)
            )

    def written(self, folder: Path) -> IndexReader:
        """Write an index of it all, and return its reader."""
        writer = IndexWriter(folder, most_bytes=1 << 30, log=SilentLog())
        hours = self.log.hours()
        for hour in hours:
            writer.begin(Family.ATTEMPTS, hour)
            entries = [indexed(each) for each in self.log.of_hour(hour)]
            waits = self.tiers if hour == hours[-1] else []
            writer.attempts(hour, entries, waits, {}, ATTEMPTS)
            writer.complete(Family.ATTEMPTS, hour)
        writer.waiting([Waiting(TIER, 0, each.offset, each) for each in self.tiers], {})
        for mark in self.marks:
            writer.ledger.add(mark)
        for day in sorted({each.at // DAY * DAY for each in self.letters}):
            some = [
                IndexedAside(DEAD, each) for each in self.letters if each.at // DAY * DAY == day
            ]
            writer.begin(Family.ASIDE, day)
            writer.aside(day, some, (), {})
            writer.complete(Family.ASIDE, day)
        now = hours[-1] + HOUR
        writer.read_up_to({"read_to": now, "beat": now})
        writer.close()
        return IndexReader(folder, lambda: now)


def states_of(found: tuple[IndexedDelivery, ...]) -> Counter[str]:
    return Counter(each.state.state.value for each in found)


def failed(event: int, at: Millis, **other: str | int | None) -> AuditEntry:
    entry = entry_for(event, at=at, outcome="failed", disposition="retry", status=503)
    return replace(entry, **other)  # type: ignore[arg-type]


def of_one_event(entry: AuditEntry) -> AuditEntry:
    """Return an entry as one of the event that was appended at the start."""
    return replace(entry, origin=entry.origin._replace(timestamp=START))


def test_what_is_dead_lettered_is_listed_however_much_waits_before_it(tmp_path: Path) -> None:
    records = Records()
    for event in range(1, PAGE):
        entry = failed(event, START + event, disposition="dead_letter")
        records.attempt(entry)
        records.die(entry)
    # The entry that ended this one is not known, only its dead letter.
    records.attempt(failed(PAGE, START + PAGE))
    records.die(failed(PAGE, START + PAGE + SECOND, attempt=2))
    for event in range(100, 700):
        records.attempt(failed(event, START + MINUTE + event))
    reader = records.written(tmp_path)
    wanted = DeliveryFilter(states=frozenset({DeliveryState.DEAD_LETTERED}))
    page = reader.deliveries(wanted, limit=PAGE)
    reader.close()
    assert states_of(page.items) == {"dead-lettered": PAGE}


def test_what_is_pending_is_listed_however_much_was_dead_lettered_since(tmp_path: Path) -> None:
    records = Records()
    for event in range(10):
        records.attempt(failed(event, START + event))
    for event in range(100, 700):
        entry = failed(event, START + MINUTE + event, disposition="dead_letter")
        records.attempt(entry)
        records.die(entry, purged=event % 50 == 0, redriven=event % 50 == 1)
    reader = records.written(tmp_path)
    wanted = DeliveryFilter(states=frozenset({DeliveryState.PENDING}))
    page = reader.deliveries(wanted, limit=PAGE)
    reader.close()
    assert (states_of(page.items), page.after) == ({"pending": 10 + 12}, None)


def test_what_was_redriven_is_pending_whenever_it_was_dead_lettered_before(tmp_path: Path) -> None:
    records = Records()
    for number, at in enumerate((START, START + 16 * HOUR), 1):
        entry = failed(1, at, disposition="dead_letter", attempt=number)
        entry = of_one_event(entry)
        records.attempt(entry)
        records.die(entry, redriven=number == 2)
    reader = records.written(tmp_path)
    page = reader.deliveries(DeliveryFilter(states=frozenset({DeliveryState.PENDING})))
    reader.close()
    assert states_of(page.items) == {"pending": 1}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("DELETE FROM attempts WHERE attempt = 2", id="is not there yet"),
        pytest.param("UPDATE attempts SET ooffset = 99 WHERE attempt = 2", id="is another's"),
        pytest.param(
            "UPDATE attempts SET job = 'replay-9' WHERE attempt = 2", id="is of another run"
        ),
        pytest.param(
            "UPDATE attempts SET delivery = 'msg_x' WHERE attempt = 2", id="is of another delivery"
        ),
    ],
)
def test_a_run_whose_newest_entry_is_not_at_its_place_is_listed_by_the_others(
    tmp_path: Path, change: str
) -> None:
    records = Records()
    records.attempt(failed(1, START))
    again = failed(1, START + MINUTE, attempt=2, disposition="dead_letter")
    records.attempt(of_one_event(again))
    reader = records.written(tmp_path)
    file = IndexFolder(tmp_path).file(Family.ATTEMPTS, START)
    with closing(sqlite3.connect(file.path, isolation_level=None)) as opened:
        opened.execute(change)
    page = reader.deliveries(DeliveryFilter(states=frozenset({DeliveryState.PENDING})))
    reader.close()
    assert states_of(page.items) == {"pending": 1}


def a_story(chance: random.Random) -> Records:
    """Return records of forty events' runs that began, failed, waited, died and were redriven at random."""
    records = Records()
    moment = START
    for event in range(40):
        begun = moment = moment + chance.randrange(4 * MINUTE)
        for job in (None, "replay-1") if chance.random() < 0.3 else (None,):
            kind = TYPES[event % 2]
            for attempt in range(1, chance.randrange(1, 5)):
                moment += chance.randrange(MINUTE)
                ends = chance.choice(("retry", "retry", "complete", "cancel", "dead_letter"))
                entry = entry_for(
                    event,
                    at=moment,
                    attempt=attempt,
                    outcome="delivered" if ends == "complete" else "failed",
                    disposition=ends,
                    status=200 if ends == "complete" else 503,
                    origin_at=begun,
                    job=job,
                    trigger="retry" if attempt > 1 else "initial",
                )
                entry = replace(entry, event_type=kind)
                # Any record may be missing: not read yet, or deleted.
                if chance.random() < 0.9:
                    records.attempt(entry)
                if ends == "retry" and chance.random() < 0.6:
                    records.wait(entry)
                if ends == "dead_letter" and chance.random() < 0.9:
                    fate = chance.random()
                    records.die(entry, redriven=fate < 0.3, purged=fate > 0.8)
    return records


def everything(reader: IndexReader, wanted: DeliveryFilter) -> list[IndexedDelivery]:
    """Return all of a list, in pages."""
    found: list[IndexedDelivery] = []
    after = None
    while True:
        page = reader.deliveries(wanted, after, limit=7)
        found += page.items
        if page.after is None:
            return found
        after = page.after


@pytest.mark.parametrize("seed", range(12))
def test_a_filter_by_state_and_type_leaves_out_nothing_that_it_selects(
    tmp_path: Path, seed: int
) -> None:
    reader = a_story(random.Random(seed)).written(tmp_path)
    runs = everything(reader, DeliveryFilter())
    kinds: list[frozenset[str] | None] = [None, frozenset(TYPES[:1])]
    for size in range(1, len(STATES)):
        for states in map(frozenset, combinations(STATES, size)):
            for types in kinds:
                found = everything(reader, DeliveryFilter(states=states, event_types=types))
                assert found == [
                    each
                    for each in runs
                    if each.state.state in states
                    and (types is None or each.state.event_type in types)
                ]
    reader.close()
    assert len({each.state.state for each in runs}) == len(STATES)
