"""Several subscriptions are counted together as each is counted alone."""

from dataclasses import replace
from pathlib import Path

from tests.doubles.index_log import START, IndexLog, entry_for
from tests.unit.adapters.index.test_index_files import written

from hookstream.adapters.index.answers import Whose
from hookstream.adapters.index.reader import IndexReader
from hookstream.core.model.instant import HOUR, MINUTE, Millis
from hookstream.core.statistics.counts import Counts
from hookstream.core.statistics.overview import OverviewWindow

NOW: Millis = START + HOUR + 20 * MINUTE


def test_each_subscription_has_the_counts_that_an_overview_of_it_has(tmp_path: Path) -> None:
    log = IndexLog()
    log.append(START - 3 * HOUR, entry_for(0, at=START - 3 * HOUR, subscription="shop-0"))
    for event in range(1, 60):
        at = START + event * MINUTE + HOUR // 4
        each = entry_for(event, at=at, subscription=f"shop-{event % 3}")
        if event % 5 == 0:
            each = replace(each, outcome="failed", disposition="retry", status=503)
        log.append(at, each)
    written(tmp_path, log).close()
    reader = IndexReader(tmp_path, lambda: NOW)
    names = ["shop-2", "shop-0", "nobody", "shop-1"]
    for window in OverviewWindow:
        alone = {
            name: reader.overview(Whose(None, frozenset({name})), window, now=NOW)
            for name in names
        }
        since, found = reader.counts_of_each(names, window, now=NOW)
        assert found == {name: each.counts for name, each in alone.items()}
        assert since == alone["shop-0"].since
        assert found["nobody"] == Counts()
        assert found["shop-1"].overdue > 0
    assert reader.counts_of_each([], OverviewWindow.HOUR, now=NOW)[1] == {}
    reader.close()
