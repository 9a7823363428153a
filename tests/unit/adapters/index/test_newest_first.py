"""Lists over many subscriptions have each row once and in order, however the rows lie in time."""

import random
import sqlite3
from collections.abc import Callable, Iterator
from itertools import islice

import pytest

from hookstream.adapters.index.attempt_minutes import SCHEMA as MINUTES_SCHEMA
from hookstream.adapters.index.attempt_rows import SCHEMA
from hookstream.adapters.index.newest_first import (
    FEW,
    kind_of_attempts,
    kind_of_runs,
    newest_first,
)
from hookstream.core.model.instant import HOUR, LATEST, MINUTE, SECOND
from hookstream.core.statistics.life import Ending

SUBSCRIPTIONS = range(1, 2 * FEW)
CHANCE = random.Random(8)
TIMES: dict[str, Callable[[int], int]] = {
    "over the hour": lambda _: CHANCE.randrange(HOUR),
    "at one instant": lambda _: 20 * MINUTE,
    "in bursts": lambda number: number % 3 * 25 * MINUTE + CHANCE.randrange(SECOND),
    "a few at the hour's start": lambda number: HOUR - 1 if number == 0 else number // 1_000,
}
ROWS = 3_500
UNFINISHED = frozenset({Ending.OPEN, Ending.DEAD_LETTERED})
DELIVERED = frozenset({Ending.DELIVERED})


@pytest.fixture(params=TIMES)
def db(request: pytest.FixtureRequest) -> Iterator[sqlite3.Connection]:
    """Attempts of many subscriptions, every seventh of which failed, and a run of each."""
    opened = sqlite3.connect(":memory:")
    opened.executescript(SCHEMA + MINUTES_SCHEMA)
    at = TIMES[request.param]
    opened.executemany("INSERT INTO owners VALUES (1, ?)", [(sub,) for sub in SUBSCRIPTIONS])
    # What is claimed by a second partner is listed once all the same.
    opened.execute("INSERT INTO owners VALUES (2, 3)")
    for number in range(ROWS):
        place = CHANCE.choice(SUBSCRIPTIONS), at(number), number % 4, number // 4
        failed = number % 7 == 0
        opened.execute(
            "INSERT INTO attempts (row, sub, at, partition, offset, failed, shape, delivery, event,"
            " entity, attempt, started, duration, bytes, opart, ooffset, oat)"
            " VALUES (?, ?, ?, ?, ?, ?, 1, '', '', '', 1, 0, 0, 0, 0, 0, 0)",
            (number, *place, failed),
        )
        # Runs of one event have its place in common.
        sub, moment, partition, offset = place
        run = sub, moment, partition, offset // 5, 1, number
        opened.execute(
            "INSERT INTO lives (sub, at, partition, offset, topic, job, state, attempts, delivery)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, 1, '')",
            (*run, 0 if failed else 4),
        )
    yield opened
    opened.close()


def count_minutes(db: sqlite3.Connection) -> None:
    """Count by minute, as the writer does."""
    db.execute(
        "INSERT INTO minutes SELECT 0, at / 60000, 0, state & 7, count(*), 0 FROM lives GROUP BY 2, 4"
    )
    zeros = ", 0" * 26
    db.execute(
        f"INSERT INTO attempt_minutes SELECT 0, at / 60000, count(*), sum(failed){zeros} FROM attempts"  # noqa: S608
        " GROUP BY 2"
    )


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("few", [True, False])
def test_rows_come_once_and_in_order_from_any_place_on(
    db: sqlite3.Connection, *, counted: bool, few: bool
) -> None:
    if counted:
        count_minutes(db)
    subs = [*SUBSCRIPTIONS][:FEW] if few else None
    chosen = set(subs or SUBSCRIPTIONS)
    attempts = db.execute("SELECT at, partition, offset, shape, row, sub, failed FROM attempts")
    runs = db.execute(
        "SELECT at, partition, offset, sub, topic, job, state, attempts, delivery, newest_after,"
        " newest_took, newest_partition, newest_offset FROM lives"
    ).fetchall()
    met = sorted((each for each in attempts if each[5] in chosen), reverse=True)
    lived = sorted((each for each in runs if each[3] in chosen), reverse=True)
    expected = {
        kind_of_attempts(failures=False): [each[:5] for each in met],
        kind_of_attempts(failures=True): [each[:5] for each in met if each[6]],
    }
    if counted:
        # Minutes of which the counts say that they have none are passed over.
        expected |= {
            kind_of_runs(): lived,
            kind_of_runs(UNFINISHED): [each for each in lived if each[6] < 4],
            kind_of_runs(DELIVERED): [each for each in lived if each[6] == 4],
            kind_of_runs(frozenset({Ending.CANCELLED})): [],
        }
    for kind, rows in expected.items():
        assert [*newest_first(db, kind, subs, None, including=False)] == rows
        for start in {0, 1, len(rows) // 2, len(rows) - 1} if rows else ():
            place = rows[start][:3]
            for including in (True, False):
                left = [row for row in rows if row[:3] < place or (including and row[:3] == place)]
                found = newest_first(db, kind, subs, place, including=including)
                assert [*islice(found, 1_200)] == left[:1_200]


def test_the_first_rows_of_many_subscriptions_are_found_without_reading_the_hour() -> None:
    opened = sqlite3.connect(":memory:")
    opened.executescript(SCHEMA + MINUTES_SCHEMA)
    opened.executemany("INSERT INTO owners VALUES (1, ?)", [(sub,) for sub in SUBSCRIPTIONS])
    opened.executemany(
        "INSERT INTO lives (sub, at, partition, offset, topic, job, state, attempts, delivery)"
        " VALUES (?, ?, 0, ?, 1, 0, 4, 1, '')",
        [
            (number % len(SUBSCRIPTIONS) + 1, number * HOUR // 100_000, number)
            for number in range(100_000)
        ],
    )
    count_minutes(opened)
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    opened.set_progress_handler(step, 1_000)
    rows = [*islice(newest_first(opened, kind_of_runs(), None, None, including=False), 50)]
    assert [row[2] for row in rows] == [*range(99_999, 99_949, -1)]
    # The whole hour takes millions of instructions.
    assert steps < 50
    opened.close()


@pytest.mark.parametrize("db", ["over the hour"], indirect=True)
@pytest.mark.timeout(60)
def test_a_place_of_thousands_of_years_later_takes_no_steps_of_its_own(
    db: sqlite3.Connection,
) -> None:
    """Minute by minute, these would be billions: whoever lists up to the year 9999 would block a thread."""
    count_minutes(db)
    place = (LATEST, 0, 0)
    for kind in (kind_of_runs(), kind_of_attempts(failures=False)):
        assert len([*newest_first(db, kind, None, place, including=True)]) == ROWS
