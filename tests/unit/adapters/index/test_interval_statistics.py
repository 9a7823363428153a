"""Of an hour's errors the most frequent patterns are looked at, and what is said of them is exact."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.doubles.index_log import START, IndexLog, entry_for
from tests.unit.adapters.index.test_index_files import written

from hookstream.adapters.index.answers import Whose
from hookstream.adapters.index.folder import Family, IndexFile, IndexFolder
from hookstream.adapters.index.hour_reader import HourReader
from hookstream.adapters.index.interval_statistics import statistics_of
from hookstream.core.model.instant import HOUR, MINUTE
from hookstream.core.statistics.reading import StatisticsBuilder

UNTIL = START + 2 * HOUR
ERRORS = (
    ("refused", "refused", "refused", "reset", "reset"),
    ("reset", "reset", "reset", "refused", "refused"),
)
"""Of each hour."""


@contextmanager
def opened(file: IndexFile) -> Iterator[HourReader]:
    reader = HourReader(file)
    try:
        yield reader
    finally:
        reader.close()


def named(folder: Path, whose: Whose, most: int) -> dict[str, tuple[int, int, int]]:
    """Return the count of each error that is named, with its first and last time."""
    builder = StatisticsBuilder(START, UNTIL, HOUR, now=UNTIL, whole=True)
    files = IndexFolder(folder).files(Family.ATTEMPTS)
    found = statistics_of(files, opened, whose, builder, most=most)
    return {each.example: (each.count, each.first_at, each.last_at) for each in found.errors}


def test_an_error_that_some_hour_has_among_its_most_frequent_is_counted_in_every_hour(
    tmp_path: Path,
) -> None:
    log = IndexLog()
    event = 0
    for hour, errors in enumerate(ERRORS):
        for number, error in enumerate((*errors, f"once {'ab'[hour]}")):
            at = START + hour * HOUR + number * MINUTE
            event += 1
            log.append(
                at,
                entry_for(
                    event,
                    at=at,
                    partner="globex" if error.startswith("once") else "acme",
                    outcome="failed",
                    disposition="retry",
                    status=None,
                    error=error,
                ),
            )
    written(tmp_path, log).close()
    exact = {
        "refused": (5, START, START + HOUR + 4 * MINUTE),
        "reset": (5, START + 3 * MINUTE, START + HOUR + 2 * MINUTE),
    }
    for most in (1, 2):
        assert named(tmp_path, Whose(), most) == exact
    assert named(tmp_path, Whose(), 10) == exact | {
        "once a": (1, START + 5 * MINUTE, START + 5 * MINUTE),
        "once b": (1, START + HOUR + 5 * MINUTE, START + HOUR + 5 * MINUTE),
    }
    # A partner is named nothing of another, also where an hour's most frequent is another's.
    assert set(named(tmp_path, Whose("globex"), 1)) == {"once a", "once b"}
    assert named(tmp_path, Whose("acme", frozenset({"shop"})), 1) == exact
