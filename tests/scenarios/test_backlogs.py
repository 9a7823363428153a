"""A backlog of one endpoint drains about as fast as that endpoint allows, and is written few times."""

import pytest
from tests.scenarios.backlog import Backlog, answers, down_until

pytestmark = pytest.mark.timeout(300)
"""Ten seconds of computing, which may take minutes on a busy machine."""

MANY = 100_000


def busiest(attempts: list[float], seconds: float) -> int:
    """Return the most attempts that began within so many seconds."""
    most = first = 0
    for last, at in enumerate(attempts):
        while attempts[first] < at - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def published_at_once(backlog: Backlog, how_many: int) -> None:
    """Five thousand a second, as fast as workers take them."""
    for begin in range(0, how_many, 1_250):
        backlog.publish(range(begin, min(begin + 1_250, how_many)))
        backlog.run(backlog.now + 0.25)


def test_a_hundred_thousand_of_an_endpoint_limited_to_ten_a_second() -> None:
    backlog = Backlog(answers(0.05), rate_limit=10)
    published_at_once(backlog, MANY)

    backlog.run(1.05 * MANY / 10)

    assert len(backlog.delivered) == MANY
    assert backlog.writes <= 2 * MANY
    assert busiest(backlog.attempts, 10.0) <= 102


def test_a_hundred_thousand_of_an_endpoint_that_is_dead_for_an_hour() -> None:
    """28 events a second for an hour; then it takes 32 at once, 50 ms each."""
    backlog = Backlog(down_until(3_600, 0.05))
    published = 0
    while backlog.now < 3_600:
        backlog.publish(range(published, published + 7))
        published += 7
        backlog.run(backlog.now + 0.25)
    tried = len(backlog.attempts)

    backlog.run(3_600 + 300 + 200)

    delivered = sorted(backlog.delivered)
    assert published > MANY
    # What was attempted while it was dead waits for its retry, and for nothing else.
    assert len(delivered) >= published - tried
    assert tried <= 3_600 / 27 + 5
    assert delivered[0] - 3_600 <= 30
    assert delivered[published - tried - 1] - delivered[0] <= 1.2 * published * 0.05 / 32
    assert backlog.writes <= 4 * published


@pytest.mark.parametrize(
    ("before", "at", "after"), [(1, 400, 1), (1, 3, 1), (2, 400, 3), (4, 60, 1)]
)
def test_workers_that_restart_or_share_otherwise_keep_the_limit_and_the_queue(
    before: int, at: float, after: int
) -> None:
    """A worker that has just started knows of no slot: it must not reserve the same one twice."""
    backlog = Backlog(answers(0.05), rate_limit=10, workers=before)
    published_at_once(backlog, 10_000)
    backlog.run(at)
    backlog.start(after)

    backlog.run(1.2 * 1_000)

    in_flight_twice = len(backlog.delivered) - 10_000
    assert 0 <= in_flight_twice <= 8
    assert backlog.writes <= 2 * 10_000
    assert busiest(backlog.attempts, 10.0) <= 110


def test_a_worker_that_restarts_in_an_outage_does_not_write_its_backlog_again() -> None:
    backlog = Backlog(down_until(3_600, 0.05))
    published = 0
    while backlog.now < 3_600:
        backlog.publish(range(published, published + 2))
        published += 2
        backlog.run(backlog.now + 0.25)
        if backlog.now == 1_800:
            backlog.start(1)

    backlog.run(3_600 + 300 + 100)

    assert len(backlog.delivered) >= published - 60
    assert backlog.writes <= 4.8 * published


def test_a_waiting_room_for_a_fraction_of_the_backlog_is_enough() -> None:
    backlog = Backlog(answers(0.05), rate_limit=10, room_bytes=256 << 10, partitions=3)
    published_at_once(backlog, 20_000)

    backlog.run(1.2 * 2_000)

    assert len(backlog.delivered) == 20_000
    assert backlog.writes <= 3 * 20_000


@pytest.mark.parametrize(("seconds", "at_once", "many"), [(0.9, 32, 20_000), (3.0, 8, 2_000)])
def test_a_backlog_of_an_endpoint_that_is_slow(seconds: float, at_once: int, many: int) -> None:
    """Its slots follow the rate at which it answers, which the lane has to measure."""
    backlog = Backlog(answers(seconds), max_in_flight=at_once)
    published_at_once(backlog, many)

    backlog.run(1.2 * many * seconds / at_once)

    assert len(backlog.delivered) == many
    assert backlog.writes <= 5 * many
