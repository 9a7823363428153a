"""A lane holds about a second of work, and copies no healthy endpoint's backlog."""

from hookstream.core.delivery.lane import Lane, LanePolicy


def lane_that_answers_in(seconds: float, *, slots: int = 10) -> Lane:
    lane = Lane(LanePolicy(max_in_flight=slots, max_queue=1_000))
    for ticket in range(50):
        lane.start(ticket, 0.0)
        lane.finish(ticket, seconds, delivered=True)
    return lane


def test_a_lane_takes_no_more_attempts_than_its_cap() -> None:
    lane = Lane(LanePolicy(max_in_flight=2))
    lane.start(1, 0.0)
    assert lane.may_start()
    lane.start(2, 0.0)

    assert not lane.may_start()


def test_a_lane_is_full_when_its_queue_would_wait_more_than_a_second() -> None:
    lane = lane_that_answers_in(0.1)

    assert not lane.full(98, 10.0, alone=False)
    assert lane.full(101, 10.0, alone=False)


def test_a_healthy_lane_that_is_alone_is_full_only_at_its_hard_bound() -> None:
    """Its backlog stays in the source partition: intake slows, nothing is written to a tier."""
    lane = lane_that_answers_in(0.5)

    assert not lane.full(999, 10.0, alone=True)
    assert lane.full(1_000, 10.0, alone=True)


def test_a_failing_lane_defers_even_when_it_is_alone() -> None:
    """Else one dead endpoint would hold the source partition for everybody who comes next."""
    lane = lane_that_answers_in(0.1)
    lane.start(99, 10.0)
    lane.finish(99, 10.1, delivered=False)

    assert lane.full(200, 10.1, alone=True)


def test_an_attempt_that_hangs_slows_the_lane_before_it_ends() -> None:
    """The timeout is far away; the queue behind it must not wait for it to be measured."""
    lane = lane_that_answers_in(0.1)
    lane.start(99, 10.0)

    assert lane.answer_time(15.0) == 5.0
    assert lane.room(15.0) == 2
    assert lane.excess(50, 15.0, alone=True) == 48


def test_work_that_needed_no_attempt_teaches_a_lane_nothing_of_its_endpoint() -> None:
    """A thousand expired deliveries end in no time; the endpoint behind them is as slow as ever."""
    lane = lane_that_answers_in(0.5)
    lane.start(99, 10.0)

    lane.pass_over(99)

    assert lane.in_flight == 0
    assert lane.answer_time(10.0) == lane_that_answers_in(0.5).answer_time(10.0)
