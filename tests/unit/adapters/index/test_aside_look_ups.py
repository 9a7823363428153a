"""What was set aside on a day is looked up by delivery and by subscription, and never by a scan of that day."""

from collections.abc import Callable, Iterator
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
from hookstream.core.redrive.ledger import Ledger
from hookstream.core.redrive.marks import Position, RedriveSource

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
