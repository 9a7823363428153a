"""What was set aside on a day is looked up by delivery and by subscription, and never by a scan of that day."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from tests.doubles.api_records import purged_letter
from tests.doubles.index_log import START
from tests.doubles.lives import FIRST

from hookstream.adapters.index.answers import DeadLetterFilter, OperationsFilter, Whose
from hookstream.adapters.index.aside_file import AsideFile, IndexedAside, Operation
from hookstream.adapters.index.aside_reader import AsideReader, aside_filter
from hookstream.adapters.index.folder import Family, IndexFolder
from hookstream.core.delivery.identity import delivery_id
from hookstream.core.model.instant import DAY
from hookstream.core.redrive.ledger import Ledger, ResolvedBy
from hookstream.core.redrive.marks import OffsetRange, Position, RedriveSource

DEAD = RedriveSource.DEAD_LETTERS
DAY_OF_START = START - START % DAY
LETTERS, SUBSCRIPTIONS = 4_000, 400
STEPS_A_LOOK_UP = 20
"""Hundreds of instructions. A scan of the day takes more than that for each hundred of its records."""


def delivery(number: int) -> str:
    return delivery_id("pricing.completed", f"event-{number}", "shop")


def subscription(number: int) -> str:
    return f"subscription-{number % SUBSCRIPTIONS}"


def letter(number: int) -> IndexedAside:
    summary = replace(
        purged_letter(FIRST).summary,
        position=Position(0, number),
        at=START + number,
        delivery_id=delivery(number),
        subscription_id=subscription(number),
        partner_id="acme",
    )
    return IndexedAside(DEAD, summary)


def operation(number: int) -> Operation:
    name = subscription(number)
    return Operation(
        START + number, 0, number, "subscription.changed", f"o-{number}", name, "acme", {}
    )


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AsideReader]:
    """A day with thousands of dead letters and operations events of hundreds of subscriptions."""
    folder: Path = tmp_path_factory.mktemp("index")
    file = IndexFolder(folder).file(Family.ASIDE, DAY_OF_START)
    written = AsideFile(file)
    numbers = range(LETTERS)
    written.add(map(letter, numbers), map(operation, numbers), {}, Ledger())
    written.close()
    opened = AsideReader(file)
    yield opened
    opened.close()


def dead(reader: AsideReader, wanted: DeadLetterFilter) -> list[int]:
    found = reader.aside(aside_filter(DEAD, wanted), None)
    return [place[2] for place, record in islice(found, 5) if record is not None]


LOOK_UPS: dict[str, tuple[Callable[[AsideReader], object], object]] = {
    "a delivery's": (lambda reader: len(reader.of_delivery(delivery(17))), 1),
    "a delivery's, of a list": (
        lambda reader: dead(reader, DeadLetterFilter(delivery_id=delivery(17))),
        [17],
    ),
    "a subscription's": (
        lambda reader: dead(reader, DeadLetterFilter(subscriptions=frozenset({subscription(17)}))),
        [LETTERS + 17 - SUBSCRIPTIONS * back for back in range(1, 6)],
    ),
    "the newest before an instant": (
        lambda reader: dead(reader, DeadLetterFilter(until=START + 5)),
        [4, 3, 2, 1, 0],
    ),
    "all since an instant": (
        lambda reader: [
            place[2]
            for place, _ in reader.aside(
                aside_filter(DEAD, DeadLetterFilter(since=START + LETTERS - 2)), None
            )
        ],
        [LETTERS - 1, LETTERS - 2],
    ),
    "whose a subscription is that has none": (
        lambda reader: [
            *reader.reasons(DEAD, Whose(subscriptions=frozenset({"other"})), START, START + DAY)
        ],
        [],
    ),
    "a subscription's operations": (
        lambda reader: [
            each.offset
            for each in islice(
                reader.operations(
                    OperationsFilter(subscriptions=frozenset({subscription(17)})), None
                ),
                5,
            )
        ],
        [LETTERS + 17 - SUBSCRIPTIONS * back for back in range(1, 6)],
    ),
}


@pytest.mark.parametrize("whose", [Whose(), Whose("acme")])
def test_open_records_are_counted_by_their_index_alone(reader: AsideReader, whose: Whose) -> None:
    asked: list[str] = []
    db = reader._db  # noqa: SLF001  its statements are explained
    db.set_trace_callback(asked.append)
    try:
        reader.counts(DEAD, whose, None)
    finally:
        db.set_trace_callback(None)
    [statement] = asked
    plan = [step for *_, step in db.execute(f"EXPLAIN QUERY PLAN {statement}")]
    assert plan[0] == "SEARCH aside USING COVERING INDEX aside_open (source=?)"


def test_a_file_of_an_earlier_release_is_counted_alike(
    reader: AsideReader, tmp_path: Path
) -> None:
    file = IndexFolder(tmp_path).file(Family.ASIDE, DAY_OF_START)
    written = AsideFile(file)
    with closing(sqlite3.connect(file.path)) as opened:
        opened.executescript(
            "DROP INDEX aside_open; CREATE INDEX aside_open"
            " ON aside (source, of, partner, reason, status, at) WHERE resolved IS NULL"
        )
    written.add(map(letter, range(LETTERS)), (), {}, Ledger())
    written.resolve(DEAD, 0, [OffsetRange(0, 7)], ResolvedBy("redrive-1"))
    written.close()
    earlier = AsideReader(file)
    found = earlier.counts(DEAD, Whose(), None).largest_first()
    earlier.close()
    expected = reader.counts(DEAD, Whose(), None).largest_first()
    left = {each.of: each.records for each in expected}
    for number in range(8):
        left[subscription(number)] -= 1
    assert {each.of: each.records for each in found} == left


@pytest.mark.parametrize("asked", LOOK_UPS)
def test_what_was_set_aside_is_looked_up_without_a_scan_of_its_day(
    reader: AsideReader, asked: str
) -> None:
    ask, answer = LOOK_UPS[asked]
    hundreds = 0

    def step() -> int:
        nonlocal hundreds
        hundreds += 1
        return 0

    db = reader._db  # noqa: SLF001  its instructions are counted
    db.set_progress_handler(step, 100)
    try:
        assert ask(reader) == answer
    finally:
        db.set_progress_handler(None, 100)
    assert hundreds <= STEPS_A_LOOK_UP
