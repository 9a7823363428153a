"""What a delivery counts as, whatever mentions it, in which order and how often."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.doubles.index_log import START, entry_for, waiting_for

from hookstream.core.model.delivery import DeferReason
from hookstream.core.model.instant import MINUTE
from hookstream.core.statistics.counts import CountedRuns, Counts, is_overdue, steps_of, totals_of
from hookstream.core.statistics.life import (
    Ending,
    LifeState,
    RunKind,
    kind_of,
    state_of_entry,
    state_of_waiting,
)
from hookstream.core.statistics.reading import LogStatistics, StatisticsBuilder

states = st.builds(LifeState, st.sampled_from(Ending), st.booleans(), st.integers(0, 20))


@given(states, states, states)
def test_joining_has_no_order_and_nothing_counts_twice(
    one: LifeState, two: LifeState, three: LifeState
) -> None:
    assert one.join(two) == two.join(one)
    assert one.join(two).join(three) == one.join(two.join(three))
    assert one.join(one) == one
    assert one.join(LifeState()) == one


@pytest.mark.parametrize(
    ("disposition", "took_ms", "ending"),
    [
        ("complete", 2_000, Ending.DELIVERED_AT_ONCE),
        ("complete", 2_001, Ending.DELIVERED),
        ("dead_letter", 10, Ending.DEAD_LETTERED),
        ("cancel", 10, Ending.CANCELLED),
        ("retry", 10, Ending.OPEN),
        ("defer", 10, Ending.OPEN),
        ("a word of a newer release", 10, Ending.OPEN),
    ],
)
def test_an_attempt_says_how_its_run_has_ended_so_far(
    disposition: str, took_ms: int, ending: Ending
) -> None:
    entry = entry_for(1, at=START + took_ms - 5, disposition=disposition, duration_us=5_000)
    entry = replace(entry, origin=entry.origin._replace(timestamp=START))
    assert state_of_entry(entry).ending is ending


def test_a_delivery_that_was_dead_lettered_and_redriven_counts_as_delivered_in_the_end() -> None:
    dead = state_of_entry(entry_for(1, at=START, disposition="dead_letter", attempt=9))
    redriven = state_of_entry(entry_for(1, at=START + 60_000, attempt=10, origin_at=START))
    assert redriven.join(dead) == LifeState(Ending.DELIVERED, held=False, attempts=10)
    assert redriven.join(dead).retries == 9


@pytest.mark.parametrize(
    ("reason", "held"),
    [
        (DeferReason.HELD, True),
        (DeferReason.PAUSED, True),
        (DeferReason.LANE_FULL, False),
        (DeferReason.SUBSCRIPTION_ABSENT, False),
        (None, False),
    ],
)
def test_what_waited_for_a_hold_or_a_pause_is_left_out(
    reason: DeferReason | None, *, held: bool
) -> None:
    waiting = waiting_for(entry_for(1, at=START), due_at=START, reason=reason)
    state = state_of_waiting(waiting).join(state_of_entry(entry_for(1, at=START)))
    assert kind_of(state, None, test=False) is (RunKind.HELD if held else RunKind.COUNTED)
    assert kind_of(state, "replay-1", test=False) is RunKind.REPLAY
    assert kind_of(state, "test-1", test=True) is RunKind.TEST


def test_the_rate_is_of_what_is_decided_and_the_rest_is_said() -> None:
    now = START + 60 * MINUTE
    fresh = now - now % MINUTE
    runs = [
        CountedRuns(START, RunKind.COUNTED, Ending.DELIVERED_AT_ONCE, 6, 0),
        CountedRuns(START, RunKind.COUNTED, Ending.DELIVERED, 2, 3),
        CountedRuns(START, RunKind.COUNTED, Ending.DEAD_LETTERED, 1, 8),
        CountedRuns(START, RunKind.COUNTED, Ending.CANCELLED, 4, 0),
        CountedRuns(START, RunKind.COUNTED, Ending.OPEN, 1, 2),
        CountedRuns(fresh, RunKind.COUNTED, Ending.OPEN, 5, 0),
        CountedRuns(START, RunKind.HELD, Ending.DELIVERED, 7, 9),
        CountedRuns(START, RunKind.REPLAY, Ending.OPEN, 2, 1),
        CountedRuns(START, RunKind.TEST, Ending.DELIVERED, 1, 0),
    ]
    steps = steps_of(runs, START, now + MINUTE, MINUTE, now=now)
    assert [step.at for step in steps] == [START, fresh]
    counts = totals_of(steps)
    assert counts == Counts(
        open=6,
        overdue=1,
        dead_lettered=1,
        cancelled=4,
        delivered=8,
        delivered_at_once=6,
        retries=13,
        held=7,
        replays=2,
        tests=1,
    )
    assert (counts.events, counts.decided) == (19, 10)
    assert (counts.success_rate, counts.at_once_rate) == (0.8, 0.6)
    assert counts.left_out_share == 10 / 29


def test_a_rate_of_nothing_is_unknown_and_not_zero() -> None:
    assert Counts(open=3).success_rate is None
    assert Counts().left_out_share == 0


def test_open_for_longer_than_five_minutes_is_judged_by_the_end_of_the_minute() -> None:
    assert not is_overdue(START, START + 6 * MINUTE - 1)
    assert is_overdue(START, START + 6 * MINUTE)


def test_steps_begin_at_the_start_of_the_interval() -> None:
    runs = [
        CountedRuns(START + at * MINUTE, RunKind.COUNTED, Ending.OPEN, 1, 0) for at in range(7)
    ]
    steps = steps_of(runs, START + MINUTE, START + 6 * MINUTE, 2 * MINUTE, now=START)
    assert [((step.at - START) // MINUTE, step.counts.open) for step in steps] == [
        (1, 2),
        (3, 2),
        (5, 1),
    ]


def test_a_skipped_record_ends_its_run_and_those_of_an_event_that_are_in_no_tier() -> None:
    failed = [entry_for(event, at=START, disposition="retry") for event in range(4)]
    waiting = [waiting_for(each, due_at=START) for each in failed]
    events = {each.origin[:3] for each in failed[:2]}
    counted = LogStatistics(skipped={*events, ("retry.5s", 0, 2), ("retry.5s", 0, 3)})
    # The first event's delivery is nowhere, the second one's waits, the others' tier records were skipped.
    for number in (1, 2, 3):
        counted.waiting(waiting[number], ("retry.5s", 0, number))
    for each in failed:
        counted.entry(each)
    # Of the last one the skip was not needed.
    counted.entry(entry_for(3, at=START + 5_000, attempt=2, origin_at=START))
    builder = StatisticsBuilder(START, START + MINUTE, MINUTE, now=START, whole=True)
    counts = counted.into(builder).counts
    assert (counts.cancelled, counts.open, counts.delivered) == (2, 1, 1)
