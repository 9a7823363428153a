"""A tick visits the lanes that had work lately, however many others there are."""

from hookstream.core.lanes.lane import Lane
from hookstream.core.lanes.policy import LanePolicy
from hookstream.pipeline.active_lanes import ActiveLanes
from hookstream.pipeline.lane_queue import LaneQueue


def a_lane(name: str, *, busy_at: float = 0.0, probe_every: float = 30.0) -> LaneQueue:
    lane = Lane(LanePolicy(10, probe_every=probe_every))
    return LaneQueue(name, lane, busy_at=busy_at, policy_at=busy_at)


def test_a_lane_is_visited_until_it_had_no_work_for_a_second_and_again_when_it_has_some() -> None:
    active, lane = ActiveLanes(), a_lane("orders")
    active.note(lane)

    active.without_work(lane, 1.0)
    assert active.visited() == [lane]
    active.without_work(lane, 1.1)
    assert active.visited() == []

    lane.busy_at = 5.0
    active.note(lane)
    assert active.visited() == [lane]
    assert active.forgotten(604.0) == []


def test_lanes_are_forgotten_ten_minutes_after_their_last_work_and_never_while_they_are_active() -> (
    None
):
    active = ActiveLanes()
    first, second, third = a_lane("a"), a_lane("b", busy_at=2.0), a_lane("c")
    for lane in (first, second, third):
        active.note(lane)
    active.without_work(first, 10.0)
    active.without_work(second, 10.0)

    assert active.forgotten(600.0) == []
    assert active.forgotten(601.0) == [first]
    assert active.forgotten(1_000.0) == [second]
    assert active.visited() == [third]


def test_a_lane_whose_breaker_may_stay_open_for_longer_is_remembered_for_twice_as_long_as_that() -> (
    None
):
    active, lane = ActiveLanes(), a_lane("orders", probe_every=400.0)
    active.note(lane)
    active.without_work(lane, 10.0)

    assert active.forgotten(800.0) == []
    assert active.forgotten(801.0) == [lane]
