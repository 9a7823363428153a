"""A lane queues about a second of work, copies no healthy backlog, and starts no attempts at an endpoint that hangs."""

import pytest

from hookstream.core.lanes.circuit_breaker import FAILURES_IN_A_ROW
from hookstream.core.lanes.lane import Lane
from hookstream.core.lanes.policy import LanePolicy
from hookstream.core.model.delivery import DeferReason
from hookstream.core.model.outcome import (
    Delivered,
    Failed,
    FailedForGood,
    FailureKind,
    Outcome,
    Throttled,
)

OK = Delivered(204)
DOWN = Failed(FailureKind.CONNECT, "connection refused")
BROKEN = Failed(FailureKind.STATUS, "answered 500", 500)
UNKNOWN = Failed(FailureKind.STATUS, "answered 404", 404)


def attempt(lane: Lane, now: float, took: float = 0.0, outcome: Outcome = OK) -> None:
    lane.start(1_000, now)
    lane.finish(1_000, now + took, outcome)


def lane_that_answers_in(
    seconds: float, *, permits: int = 10, rate_limit: float | None = None
) -> Lane:
    lane = Lane(LanePolicy(permits, max_queue=1_000, rate_limit=rate_limit))
    for _ in range(50):
        attempt(lane, 0.0, seconds)
    return lane


def test_a_lane_starts_with_two_concurrent_attempts() -> None:
    lane = Lane(LanePolicy(32))
    lane.start(1, 0.0)
    assert lane.may_start(0.0)
    lane.start(2, 0.0)

    assert not lane.may_start(0.0)


def test_a_lane_takes_no_more_attempts_than_its_cap() -> None:
    lane = Lane(LanePolicy(3))
    ticket = 0
    for _ in range(20):
        while lane.may_start(0.0):
            lane.start(ticket, 0.0)
            ticket += 1
        assert lane.in_flight <= 3
        lane.finish(ticket - 1, 0.01, OK)
    assert lane.in_flight == 2


def test_while_an_attempt_is_outstanding_for_more_than_a_second_no_other_is_started() -> None:
    """So an unproven endpoint can take two permits of the worker, not more."""
    lane = Lane(LanePolicy(32))
    lane.start(1, 0.0)

    assert lane.may_start(1.0)
    assert not lane.may_start(1.01)
    assert lane.room(1.01) == 0
    assert lane.excess(50, 1.01, alone=True) == 50


def test_an_endpoint_that_is_always_slow_is_overdue_at_twice_its_usual_time() -> None:
    lane = lane_that_answers_in(3.0)
    lane.start(1, 100.0)

    assert lane.may_start(105.9)
    assert not lane.may_start(106.1)


def test_a_lane_is_full_when_its_queue_would_wait_more_than_a_second() -> None:
    lane = lane_that_answers_in(0.1)

    assert not lane.full(98, 10.0, alone=False)
    assert lane.full(101, 10.0, alone=False)


def test_nothing_is_queued_that_its_rate_limit_makes_wait_for_longer_than_a_second() -> None:
    """It would keep its source offset unsettled for as long, and look stuck; it has a slot in a tier."""
    lane = Lane(LanePolicy(8, rate_limit=0.01))
    attempt(lane, 0.0)

    assert lane.full(0, 1.0, alone=True)
    assert lane.early_room(0, 1.0) == 0
    assert lane.early_room(0, 99.5) == 1


def test_a_batch_fills_in_the_last_second_before_a_slow_limit_allows_it() -> None:
    lane = Lane(LanePolicy(8, rate_limit=0.01, batch_events=50))
    attempt(lane, 0.0)

    assert lane.early_room(0, 98.5) == 0
    assert lane.full(0, 98.5, alone=False)
    assert lane.early_room(0, 99.0) == 50
    assert lane.excess(50, 99.0, alone=False) == 0
    assert not lane.may_start(99.0)


def test_a_batch_fills_in_the_last_second_of_a_rest_and_no_single_delivery_waits_for_its_end() -> (
    None
):
    batched, single = Lane(LanePolicy(8, batch_events=50)), Lane(LanePolicy(8))
    for lane in (batched, single):
        attempt(lane, 0.0)
        lane.rest(20, 1.0)

    assert (batched.early_room(0, 19.5), batched.may_start(20.5)) == (0, False)
    assert batched.early_room(0, 20.5) >= 50
    assert single.early_room(0, 20.5) == 0


def test_old_deliveries_fill_half_of_the_room_and_leave_the_rest_to_new_events() -> None:
    lane = lane_that_answers_in(0.1)

    assert not lane.full(48, 10.0, alone=False, again=True)
    assert lane.full(51, 10.0, alone=False, again=True)


def test_a_healthy_lane_that_is_alone_is_full_only_at_its_hard_bound() -> None:
    """Its backlog stays in the source partition: intake slows, nothing is written to a tier."""
    lane = lane_that_answers_in(0.5)

    assert not lane.full(999, 10.0, alone=True)
    assert lane.full(1_000, 10.0, alone=True)


def test_a_lane_that_is_alone_but_limited_defers() -> None:
    """Hours of its backlog would block all other events of the partition."""
    lane = lane_that_answers_in(0.01, rate_limit=5)

    assert lane.full(5, 60.0, alone=True)


def test_a_failing_lane_defers_even_when_it_is_alone() -> None:
    """Otherwise one dead endpoint would block the source partition for all others."""
    lane = lane_that_answers_in(0.1)
    attempt(lane, 10.0, 0.1, BROKEN)

    assert lane.full(200, 10.1, alone=True)


def test_work_that_needed_no_attempt_teaches_a_lane_nothing_of_its_endpoint() -> None:
    """A thousand expired deliveries end in no time; their endpoint is as slow as before."""
    lane = lane_that_answers_in(0.5)
    lane.start(99, 10.0)

    lane.pass_over(99)

    assert lane.in_flight == 0
    assert lane.answer_time(10.0) == lane_that_answers_in(0.5).answer_time(10.0)


def test_failures_open_the_breaker_and_one_probe_closes_it() -> None:
    lane = lane_that_answers_in(0.1)
    for _ in range(FAILURES_IN_A_ROW):
        attempt(lane, 10.0, 0.0, DOWN)
    assert not lane.may_start(14.9)
    assert lane.room(14.9) == 0
    assert lane.defer(10.0).reason is DeferReason.BREAKER_OPEN

    assert lane.may_start(15.0)
    lane.start(1, 15.0)
    assert not lane.may_start(15.0)
    assert lane.full(0, 15.0, alone=False)
    lane.finish(1, 15.1, OK)

    assert not lane.broken
    assert lane.may_start(15.1)


@pytest.mark.parametrize("outcome", [UNKNOWN, FailedForGood(422)])
def test_an_endpoint_that_answers_keeps_its_lane_open_whatever_the_status(
    outcome: Outcome,
) -> None:
    """A delivery that it refuses concerns that delivery only."""
    lane = lane_that_answers_in(0.1)
    for _ in range(50):
        attempt(lane, 10.0, 0.1, outcome)

    assert not lane.broken


@pytest.mark.parametrize(
    "outcome", [DOWN, BROKEN, Failed(FailureKind.STATUS, "answered 408", 408)]
)
def test_an_endpoint_that_does_not_answer_or_breaks_opens_its_breaker(outcome: Outcome) -> None:
    lane = lane_that_answers_in(0.1)
    for _ in range(FAILURES_IN_A_ROW):
        attempt(lane, 10.0, 0.1, outcome)

    assert lane.broken


def test_three_timeouts_are_enough() -> None:
    """Each has kept a permit of the worker until its end."""
    lane = lane_that_answers_in(0.1)
    opened = []
    for second in range(3):
        attempt(lane, 10.0 + 15 * second, 15.0, Failed(FailureKind.TIMEOUT, "no answer in time"))
        opened.append(lane.broken)

    assert opened == [False, False, True]


def test_a_lane_pauses_for_retry_after_and_then_continues_slower() -> None:
    lane = lane_that_answers_in(0.1)
    attempt(lane, 10.0, 0.0, Throttled(429, 60_000))

    assert not lane.may_start(69.9)
    assert lane.early_room(0, 69.9) == 0
    deferral = lane.defer(10.0)
    assert deferral.reason is DeferReason.THROTTLED
    assert deferral.slot >= 70.0
    assert lane.may_start(70.1)
    assert not lane.broken


def test_no_endpoint_pauses_its_lane_for_longer_than_five_minutes() -> None:
    """The delivery itself waits for its Retry-After; the others are attempted sooner."""
    lane = lane_that_answers_in(0.1)
    attempt(lane, 10.0, 0.0, Throttled(503, 24 * 3_600_000))

    assert lane.may_start(310.1)


def test_deferred_deliveries_come_one_after_another_at_the_lane_s_rate() -> None:
    lane = lane_that_answers_in(0.1, rate_limit=10)

    slots = [lane.defer(100.0).slot for _ in range(3)]

    assert slots == pytest.approx([100.105, 100.21, 100.315])
    assert lane.defer(100.0).reason is DeferReason.RATE_LIMITED


def test_a_slot_found_in_a_tier_record_is_not_reserved_again() -> None:
    """What a worker learns of its predecessor's reservations."""
    lane = lane_that_answers_in(0.1, rate_limit=10)
    lane.seen(500.0)

    assert lane.defer(100.0).slot > 500.0


def test_what_came_at_its_slot_and_was_not_served_comes_again_soon() -> None:
    lane = lane_that_answers_in(0.1, rate_limit=10)
    for _ in range(1_000):
        lane.defer(100.0)

    assert lane.defer(100.0, missed_slot=True).slot == pytest.approx(100.105)


def test_a_lane_is_prompt_while_it_answers_within_a_second() -> None:
    lane = lane_that_answers_in(0.5)
    assert lane.prompt(10.0)
    assert not lane.prompt(1_000.0)

    lane.start(1, 10.0)
    assert not lane.prompt(12.0)
    assert not lane_that_answers_in(2.0).prompt(2.0)


def test_attempts_that_were_under_way_together_slow_a_lane_down_once() -> None:
    """One burst over the endpoint's limit is one answer: too many, not twenty times too many."""
    lane = lane_that_answers_in(0.001, permits=32)
    for ticket in range(20):
        lane.start(ticket, 1.0)

    for ticket in range(20):
        lane.finish(ticket, 1.01, Throttled(429, 1_000))

    assert lane.defer(3.0).slot == pytest.approx(3.0, abs=0.1)


def kept_busy(lane: Lane, took: float) -> Lane:
    """Let it make as many concurrent attempts as allowed, until the limit stops growing."""
    now, ticket = 0.0, 0
    for _ in range(80):
        begun = []
        while lane.may_start(now):
            lane.start(ticket, now)
            begun.append(ticket)
            ticket += 1
        now += took
        for each in begun:
            lane.finish(each, now, OK)
    return lane


def at_once(lane: Lane, now: float = 1_000.0) -> int:
    """How many attempts it would start now."""
    ticket = 1_000_000
    while lane.may_start(now):
        lane.start(ticket, now)
        ticket += 1
    for each in range(1_000_000, ticket):
        lane.pass_over(each)
    return ticket - 1_000_000


def test_an_endpoint_that_answers_at_once_gets_few_attempts_at_once_while_turns_are_long() -> None:
    """More of them deliver nothing more, and make every other endpoint's wait longer."""
    lane = kept_busy(Lane(LanePolicy(64)), 0.005)
    before = at_once(lane)
    for _ in range(4):
        lane.crowd(0.05)
    crowded = at_once(lane)
    for _ in range(60):
        lane.crowd(0.001)

    assert (before, crowded, at_once(lane)) == (64, 8, 64)


def test_a_lane_limited_to_few_attempts_queues_no_more_than_they_can_serve() -> None:
    """Also before its first failure, while the endpoint's capacity is unknown."""
    lane = Lane(LanePolicy(64, max_queue=100_000))
    for _ in range(60):
        attempt(lane, 0.0, 0.005)
    for _ in range(4):
        lane.crowd(0.05)

    assert lane.room(1.0) <= 8 / 0.005 + 1


def test_a_slow_endpoint_gets_as_many_attempts_however_long_turns_are() -> None:
    lane = kept_busy(Lane(LanePolicy(64)), 0.4)
    for _ in range(8):
        lane.crowd(0.05)
    assert at_once(lane) == 64


def test_a_lane_with_a_low_concurrency_limit_gets_no_more_by_long_turns() -> None:
    lane = kept_busy(Lane(LanePolicy(3)), 0.005)
    for _ in range(8):
        lane.crowd(0.05)
    assert at_once(lane) == 3


def test_a_lane_rests_without_any_failure_and_starts_again_by_itself() -> None:
    lane = lane_that_answers_in(0.01)
    lane.start(1, 10.0)
    lane.rest(30.0, 10.01)
    lane.finish(1, 10.01, OK)

    assert not lane.may_start(40.0)
    assert lane.start_at(20.0) == 40.01
    assert (lane.room(20.0), lane.full(0, 20.0, alone=True)) == (0, True)
    assert lane.defer(20.0).reason is DeferReason.THROTTLED
    assert lane.may_start(40.02)
    assert not lane.broken
    attempt(lane, 40.02, 0.01)
    assert lane.room(41.0) > 1


def test_a_rest_is_at_most_five_minutes_and_never_shortens_a_longer_one() -> None:
    lane = lane_that_answers_in(0.01)
    lane.rest(1e12, 10.0)
    lane.rest(1.0, 11.0)

    assert not lane.may_start(309.0)
    assert lane.may_start(311.0)
