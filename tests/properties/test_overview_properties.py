"""An overview has what the log has, whatever the order, the copies, the crashes and the length of its steps."""

import random
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.doubles.index_log import IndexLog, counted_naively
from tests.properties.test_index_properties import NOW, SUBSCRIPTIONS, logs, plain, read_in

from hookstream.adapters.index.answers import Whose
from hookstream.adapters.index.reader import IndexReader
from hookstream.core.audit.entry import AuditEntry
from hookstream.core.model.instant import MINUTE, Millis
from hookstream.core.statistics.attempts import bucket_of
from hookstream.core.statistics.counts import Counts
from hookstream.core.statistics.errors import fingerprint_of
from hookstream.core.statistics.overview import OverviewWindow, Steps, steps_for

WHOSE = [
    (Whose(), None),
    *((Whose(partner_id=each), ("partner", each)) for each in ("acme", "globex")),
    *((Whose(None, frozenset({each})), ("subscription", each)) for each in SUBSCRIPTIONS),
]


def requests(
    log: IndexLog, steps: Steps, whose: tuple[str, str] | None
) -> list[tuple[Millis, AuditEntry]]:
    """Return the requests of an interval, each with the start of its step."""
    found = []
    for record in log.records:
        what = record.what
        if isinstance(what, AuditEntry) and what.outcome is not None and record.at >= steps.since:
            named = {"partner": what.partner_id, "subscription": what.subscription_id}
            if whose is None or named[whose[0]] == whose[1]:
                found.append((steps.start_of(record.at), what))
    return found


def is_failed(entry: AuditEntry) -> bool:
    return fingerprint_of(entry) is not None


@given(
    logs(),
    st.integers(0, 2**32).map(random.Random),
    st.sampled_from(OverviewWindow),
    st.integers(-200, 0),
)
@settings(max_examples=30)
def test_an_overview_counts_as_if_the_whole_log_were_counted_at_once(
    log: IndexLog, chance: random.Random, window: OverviewWindow, minutes: int
) -> None:
    first = log.hours()[0]
    now = NOW + minutes * MINUTE
    # What is in the log after the present is not of the window.
    log.records[:] = [each for each in log.records if each.at < now] or log.records[:1]
    now = max(now, log.records[-1].at + 1)
    with tempfile.TemporaryDirectory() as folder:
        read_in(log, Path(folder), chance)
        reader = IndexReader(Path(folder), lambda: NOW)
        for whose, naive in WHOSE:
            steps = steps_for(window, now, first)
            found = reader.overview(whose, window, now=now)
            expected: dict[Millis, Counts] = {}
            for minute, counts in counted_naively(log.records, now, naive).items():
                if minute >= steps.since:
                    expected.setdefault(steps.start_of(minute), Counts()).include(counts)
            assert {each.at: plain(each.counts) for each in found.steps if plain(each.counts)} == {
                at: plain(counts) for at, counts in expected.items() if plain(counts)
            }
            made = requests(log, steps, naive)
            assert {
                (each.at, bucket): count
                for each in found.steps
                for bucket, count in enumerate(each.attempts.buckets)
                if count
            } == Counter((at, bucket_of(entry.duration_us)) for at, entry in made)
            failures = [entry for _, entry in made if is_failed(entry)]
            assert found.attempts.failed == len(failures)
            assert {each.subscription_id: each.failed for each in found.worst} == Counter(
                entry.subscription_id for entry in failures
            )
            every = Counter(entry.subscription_id for _, entry in made)
            for each in found.worst:
                assert (each.attempts, each.partner_id) == (
                    every[each.subscription_id],
                    SUBSCRIPTIONS[each.subscription_id],
                )
                assert each.error is not None
        reader.close()


@given(logs(), st.integers(0, 2**32).map(random.Random))
@settings(max_examples=10)
def test_a_partner_sees_nothing_of_anothers_subscription_in_an_overview(
    log: IndexLog, chance: random.Random
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        read_in(log, Path(folder), chance)
        reader = IndexReader(Path(folder), lambda: NOW)
        foreign = Whose("globex", frozenset({"shop", "crm"}))
        found = reader.overview(foreign, OverviewWindow.ALL, now=NOW)
        assert (found.counts, found.attempts.attempts, found.worst) == (Counts(), 0, ())
        reader.close()
