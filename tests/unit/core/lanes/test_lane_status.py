"""What a lane says of itself is what it does."""

from dataclasses import asdict

from tests.unit.core.lanes.test_lane import DOWN, OK, attempt

from hookstream.core.lanes.circuit_breaker import FAILURES_IN_A_ROW, FIRST_OPEN
from hookstream.core.lanes.lane import Lane
from hookstream.core.lanes.lane_status import BreakerState
from hookstream.core.lanes.policy import LanePolicy
from hookstream.core.model.outcome import Throttled


def test_a_new_lane_ramps_up_from_two_and_is_bounded_by_that_alone() -> None:
    assert asdict(Lane(LanePolicy(32)).status(3, 0.0)) == {
        "in_flight": 0,
        "limit": 2,
        "most": 32,
        "ramping": True,
        "overdue": False,
        "queued": 3,
        "rate": None,
        "throttled": False,
        "breaker": BreakerState.CLOSED,
        "probe_after": 0.0,
        "rests": 0.0,
        "answers_in": 0.005,
    }


def test_an_attempt_that_is_unanswered_for_long_is_overdue() -> None:
    lane = Lane(LanePolicy(32))
    lane.start(1, 0.0)
    assert [lane.status(0, at).overdue for at in (0.5, 1.5)] == [False, True]
    assert (lane.status(0, 1.5).in_flight, lane.status(0, 1.5).answers_in) == (1, 1.5)


def test_a_breaker_is_open_until_its_probe_and_half_open_then() -> None:
    lane = Lane(LanePolicy(32))
    for _ in range(FAILURES_IN_A_ROW):
        attempt(lane, 0.0, outcome=DOWN)
    opened, later = lane.status(0, 1.0), lane.status(0, FIRST_OPEN)
    assert (opened.breaker, opened.probe_after) == (BreakerState.OPEN, FIRST_OPEN - 1.0)
    assert (later.breaker, later.probe_after) == (BreakerState.HALF_OPEN, 0.0)
    assert (opened.ramping, lane.may_start(1.0), lane.may_start(FIRST_OPEN)) == (
        False,
        False,
        True,
    )
    attempt(lane, FIRST_OPEN, outcome=OK)
    assert lane.status(0, FIRST_OPEN).breaker is BreakerState.CLOSED


def test_a_rate_is_the_workers_part_of_the_limit_until_the_endpoint_asks_for_less() -> None:
    lane = Lane(LanePolicy(32, rate_limit=100.0))
    assert (lane.status(0, 0.0).rate, lane.status(0, 0.0).throttled) == (100.0, False)
    attempt(lane, 0.0, outcome=Throttled(429, 20_000))
    slowed = lane.status(0, 5.0)
    assert (slowed.rate, slowed.throttled, slowed.rests) == (50.0, True, 15.0)
    assert not lane.may_start(5.0)


def test_saying_what_it_does_changes_nothing_of_what_it_does() -> None:
    asked, other = Lane(LanePolicy(8, rate_limit=3.0)), Lane(LanePolicy(8, rate_limit=3.0))
    for step in range(40):
        now = step / 4
        asked.status(step, now)
        for lane in (asked, other):
            if lane.may_start(now):
                attempt(lane, now, 0.01, OK if step % 3 else DOWN)
    assert asked.status(0, 10.0) == other.status(0, 10.0)
