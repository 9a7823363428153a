"""The steps of an overview, and the intervals of due times: few, equal, and at round times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.model.instant import DAY, HOUR, MINUTE, SECOND, Millis
from hookstream.core.statistics.attempts import BUCKETS, CountedAttempts
from hookstream.core.statistics.counts import CountedRuns, Counts
from hookstream.core.statistics.due import MOST_HOURS, MOST_INTERVALS, due_intervals
from hookstream.core.statistics.life import Ending, RunKind
from hookstream.core.statistics.overview import (
    MOST_STEPS,
    WORST,
    FailingEndpoint,
    OverviewBuilder,
    OverviewWindow,
    is_whole,
    steps_for,
)

NOW: Millis = 1_795_942_800_000 + 17 * MINUTE + 23 * SECOND
nows = st.integers(DAY, 4_000_000_000_000)


@given(st.sampled_from(OverviewWindow), nows, st.integers(0, 4_000_000_000_000))
def test_a_window_has_few_steps_that_begin_at_round_times_and_end_at_present(
    window: OverviewWindow, now: Millis, known_since: Millis
) -> None:
    steps = steps_for(window, now, known_since)
    starts = steps.starts()
    assert 1 <= len(starts) <= MOST_STEPS
    assert steps.since % steps.step == 0
    assert steps.step % MINUTE == 0
    assert starts[-1] <= now < starts[-1] + steps.step
    assert all(steps.start_of(at) == at for at in starts)
    if window.span is not None and known_since < now:
        asked = max(now - window.span, known_since)
        assert asked - steps.step < steps.since <= asked


@pytest.mark.parametrize(
    ("window", "known_for", "step", "count"),
    [
        (OverviewWindow.HOUR, 9 * DAY, MINUTE, 61),
        (OverviewWindow.HOUR, 10 * MINUTE, MINUTE, 11),
        (OverviewWindow.DAY, 9 * DAY, 10 * MINUTE, 145),
        (OverviewWindow.ALL, 7 * DAY, HOUR, 169),
        (OverviewWindow.ALL, 400 * DAY, 3 * DAY, 134),
    ],
)
def test_longer_windows_have_longer_steps(
    window: OverviewWindow, known_for: Millis, step: Millis, count: int
) -> None:
    steps = steps_for(window, NOW, NOW - known_for)
    assert (steps.step, len(steps.starts())) == (step, count)


def test_a_window_is_whole_if_all_of_it_is_known() -> None:
    assert is_whole(OverviewWindow.HOUR, NOW, NOW - HOUR)
    assert not is_whole(OverviewWindow.HOUR, NOW, NOW - HOUR + 1)
    assert is_whole(OverviewWindow.ALL, NOW, NOW - 1)


def test_runs_and_requests_are_added_to_their_step_and_what_is_outside_is_left_out() -> None:
    steps = steps_for(OverviewWindow.HOUR, NOW, 0)
    builder = OverviewBuilder(steps)
    buckets = [0] * BUCKETS
    buckets[3] = 2
    # Open for 6 minutes and for 1 minute, and of before the window.
    for age in (7, 1, 90):
        minute = steps.until // MINUTE * MINUTE - age * MINUTE
        builder.add_runs([CountedRuns(minute, RunKind.COUNTED, Ending.OPEN, 1, 0)])
        builder.add_attempts([CountedAttempts(minute, 1, buckets)])
    found = builder.overview([], steps.since + MINUTE, whole=False)
    assert found.counts == Counts(open=2, overdue=1)
    assert (found.attempts.attempts, found.attempts.failed) == (4, 2)
    assert [each.attempts.attempts for each in found.steps if each.attempts.attempts] == [2, 2]
    assert len(found.steps) == 61
    assert (found.since, found.until, found.whole) == (steps.since + MINUTE, NOW, False)


def test_the_worst_endpoints_are_those_with_the_most_failures_of_all_hours_together() -> None:
    builder = OverviewBuilder(steps_for(OverviewWindow.HOUR, NOW, 0))
    builder.add_failing(FailingEndpoint(f"shop-{n:02}", "acme", 9, n) for n in range(1, 21))
    builder.add_failing([FailingEndpoint("shop-01", "acme", 30, 20)])
    found = builder.worst()
    assert found[0] == FailingEndpoint("shop-01", "acme", 39, 21)
    assert [each.failed for each in found[1:]] == list(range(20, 20 - WORST + 1, -1))


@given(st.integers(1, MOST_HOURS), nows)
def test_due_times_are_counted_in_few_intervals_without_gaps(hours: int, now: Millis) -> None:
    due = due_intervals(hours, now)
    starts = due.starts()
    assert 1 <= len(starts) <= MOST_INTERVALS
    assert starts[0] == due.since == now - now % MINUTE
    assert [due.end_of(at) for at in starts] == [*starts[1:], due.until]
    assert due.until >= due.since + hours * HOUR > due.until - due.width
    for at in (due.since, now, due.until - 1):
        start = due.start_of(at)
        assert start in starts
        assert start <= at < due.end_of(start)
