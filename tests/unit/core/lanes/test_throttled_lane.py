"""A lane whose endpoint answers 429 is soon back at its old rate, and stays just below its limit."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from hookstream.core.lanes.lane import Lane
from hookstream.core.lanes.policy import LanePolicy
from hookstream.core.model.outcome import Delivered, Throttled

ANSWERS_IN = 0.05


@dataclass(slots=True)
class Course:
    """When attempts were answered, and how."""

    delivered: list[float] = field(default_factory=list)
    throttled: list[float] = field(default_factory=list)

    def between(self, begin: float, end: float) -> tuple[int, int]:
        """Return how many were delivered, and how many were answered 429."""
        delivered = sum(begin <= at < end for at in self.delivered)
        return delivered, sum(begin <= at < end for at in self.throttled)


def driven(takes: Callable[[float], bool], seconds: float, *, rate: float = 1e6) -> Course:
    """Offer a lane `rate` deliveries a second; `takes` decides which attempt is not answered 429."""
    lane, course = Lane(LanePolicy(32)), Course()
    now, begun = 0.0, 0
    answers: list[tuple[float, int, bool]] = []
    while now < seconds:
        waits = begun < rate * now
        if waits and lane.may_start(now):
            begun += 1
            lane.start(begun, now)
            heapq.heappush(answers, (now + ANSWERS_IN, begun, takes(now)))
            continue
        start_at = lane.start_at(now) if waits else (begun + 1) / rate
        instants = [] if start_at is None else [max(start_at, now + 0.0001)]
        now = min([*instants, *(at for at, *_ in answers[:1])])
        while answers and answers[0][0] <= now:
            _, ticket, taken = heapq.heappop(answers)
            lane.finish(ticket, now, Delivered(204) if taken else Throttled(429, None))
            (course.delivered if taken else course.throttled).append(now)
    return course


def limited_to(rate: float) -> Callable[[float], bool]:
    """Take a second's worth at once, and no more than `rate` a second."""
    left, seen_at = rate, 0.0

    def takes(now: float) -> bool:
        nonlocal left, seen_at
        left, seen_at = min(rate, left + (now - seen_at) * rate), now
        if left < 1:
            return False
        left -= 1
        return True

    return takes


@pytest.mark.parametrize("away", [1, 5, 14, 60, 300])
@pytest.mark.parametrize("rate", [1, 10, 100])
def test_an_endpoint_that_answered_429_to_everything_is_at_its_old_rate_soon_after_it_accepts_one(
    away: int, rate: int
) -> None:
    back = 20.0 + away
    course = driven(lambda now: not 20 <= now < back, back + 60, rate=rate)

    taken = min(at for at in course.delivered if at >= back)
    assert taken - back <= 10.1
    assert course.between(20, back)[1] <= 12 + away / 10 + 0.1 * rate
    delivered, throttled = course.between(taken + 7, taken + 17)
    assert delivered >= 10 * rate - 1
    assert throttled == 0


def test_an_endpoint_that_is_away_for_a_third_of_the_time_gets_nearly_all_that_comes() -> None:
    course = driven(lambda now: now % 40 >= 14, 400, rate=10)

    delivered, throttled = course.between(0, 400)

    assert delivered >= 0.95 * 4_000
    assert throttled <= 150


@pytest.mark.parametrize(("limit", "part"), [(1, 0.75), (5, 0.95), (20, 0.95), (60, 0.95)])
def test_an_endpoint_with_a_limit_is_used_just_below_it_and_seldom_answers_429(
    limit: int, part: float
) -> None:
    course = driven(limited_to(limit), 320)

    delivered, throttled = course.between(20, 320)

    assert delivered >= part * limit * 300
    assert throttled <= 0.1 * 300


def test_an_endpoint_with_a_limit_that_was_away_is_back_below_its_limit_not_above() -> None:
    takes = limited_to(60)
    course = driven(lambda now: not 100 <= now < 114 and takes(now), 200)

    taken = min(at for at in course.delivered if at >= 114)

    delivered, throttled = course.between(taken + 10, taken + 40)
    assert delivered >= 0.75 * 60 * 30
    assert throttled <= 0.02 * delivered
