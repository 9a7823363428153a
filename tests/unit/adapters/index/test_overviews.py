"""An overview of steps of many minutes counts as one of single minutes would."""

from pathlib import Path

from tests.doubles.index_log import START, IndexLog, entry_for
from tests.unit.adapters.index.test_index_files import written

from hookstream.adapters.index.answers import Whose
from hookstream.adapters.index.attempt_minutes import MOST_FAILING
from hookstream.adapters.index.reader import IndexReader
from hookstream.core.model.instant import HOUR, MINUTE, SECOND, Millis
from hookstream.core.statistics.overview import OverviewWindow

NOW: Millis = START + 39 * MINUTE + 30 * SECOND


def test_those_of_one_step_that_are_open_for_long_are_counted_apart_from_the_others(
    tmp_path: Path,
) -> None:
    log = IndexLog()
    # So much is known that the steps of a day are long ones.
    log.append(START - 20 * HOUR, entry_for(0, at=START - 20 * HOUR))
    for minute in range(30, 39):
        at = START + minute * MINUTE
        log.append(at, entry_for(minute, at=at, outcome="failed", disposition="retry", status=503))
    written(tmp_path, log).close()
    reader = IndexReader(tmp_path, lambda: NOW)
    for window in OverviewWindow:
        found = reader.overview(Whose(), window, now=NOW)
        # The events of minutes 30 to 33: each was over 5 minutes before.
        assert (found.counts.open, found.counts.overdue) == (9, 4), window
        assert found.attempts.failed == 9
    assert reader.overview(Whose(), OverviewWindow.DAY, now=NOW).step == 10 * MINUTE
    reader.close()


def test_of_many_failing_endpoints_those_with_the_most_failures_are_named(
    tmp_path: Path,
) -> None:
    log = IndexLog()
    event = 0
    for shop in range(MOST_FAILING + 5):
        for _ in range(1 + (shop in (3, 70)) * 2):
            event += 1
            log.append(
                START + HOUR // 2,
                entry_for(
                    event,
                    at=START + HOUR // 2,
                    subscription=f"shop-{shop:03}",
                    outcome="failed",
                    disposition="retry",
                    status=503,
                    error=f"answered 503 to {shop}",
                ),
            )
    written(tmp_path, log).close()
    reader = IndexReader(tmp_path, lambda: NOW)
    # Within the hour by its minutes, and behind it by its totals.
    for now in (NOW, START + HOUR):
        worst = reader.overview(Whose(), OverviewWindow.HOUR, now=now).worst
        assert [(each.subscription_id, each.failed) for each in worst[:3]] == [
            ("shop-003", 3),
            ("shop-070", 3),
            ("shop-000", 1),
        ]
        assert worst[0].error is not None
        assert worst[0].error.example == "answered 503 to 3"
    reader.close()
