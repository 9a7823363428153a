"""What each part of a lane promises: its limit, rate, breaker and reservations, and the cap that all share."""

import pytest

from hookstream.core.lanes.circuit_breaker import FAILURES_IN_A_ROW, CircuitBreaker
from hookstream.core.lanes.concurrency_limit import ConcurrencyLimit
from hookstream.core.lanes.permits import LanePermits, Permits
from hookstream.core.lanes.rate_limiter import RateLimiter
from hookstream.core.lanes.reservations import Reservations


def grown(rounds: int, most: int = 32) -> ConcurrencyLimit:
    limit = ConcurrencyLimit()
    for _ in range(rounds):
        for _ in range(limit.allowed(most)):
            limit.grow(limit.allowed(most), most)
    return limit


def test_a_limit_doubles_with_each_round_until_trouble_and_then_grows_by_one() -> None:
    assert [grown(rounds).allowed(32) for rounds in range(6)] == [2, 4, 8, 16, 32, 32]
    limit = grown(4)
    limit.shrink(0.0, 1.0)
    assert limit.allowed(32) == 16

    for _ in range(17):
        limit.grow(limit.allowed(32), 32)

    assert limit.allowed(32) == 17


def test_failures_of_one_round_count_once() -> None:
    limit = grown(5)
    for _ in range(32):
        limit.shrink(0.5, 1.0)
    assert limit.allowed(32) == 16

    limit.shrink(1.5, 1.0)

    assert limit.allowed(32) == 8


def test_a_limit_that_is_not_used_does_not_grow() -> None:
    limit = ConcurrencyLimit()
    for _ in range(100):
        limit.grow(1, 32)

    assert limit.allowed(32) == 2


def test_slower_answers_take_a_tenth_and_one_attempt_is_always_allowed() -> None:
    limit = grown(5)
    limit.ease(0.0, 0.1)
    assert limit.allowed(32) == 28

    for second in range(1, 100):
        limit.ease(second, 0.1)

    assert limit.allowed(32) == 1


def test_a_pace_without_limit_never_waits() -> None:
    rate_limiter = RateLimiter()

    assert rate_limiter.spacing == 0.0
    assert rate_limiter.free_at() <= 0.0


def test_a_throttled_endpoint_gets_half_the_rate_and_recovers_it() -> None:
    rate_limiter = RateLimiter()
    for _ in range(3):
        rate_limiter.throttled()
    assert rate_limiter.spacing == pytest.approx(0.08)
    assert not rate_limiter.limited

    for _ in range(100):
        rate_limiter.delivered()

    assert rate_limiter.spacing == 0.0


def test_an_endpoint_that_throttled_everything_soon_gets_as_many_attempts_as_before() -> None:
    """It was down rather than overloaded: the rate that it accepted before is found in seconds."""
    rate_limiter = RateLimiter()
    now, seconds = 0.0, 30.0
    while rate_limiter.spacing < 10.0:
        rate_limiter.throttled()

    while rate_limiter.spacing > 0.05 and now < seconds:
        now += rate_limiter.spacing
        rate_limiter.delivered()

    assert now < seconds


def test_an_endpoint_with_a_fixed_rate_is_used_at_nearly_that_rate() -> None:
    """Nine answers of ten, once its rate is found, are not 429."""
    rate_limiter = RateLimiter()
    now, bears, last = 0.0, 0.5, -1.0
    answers: list[bool] = []
    while now < 1_000.0:
        now += max(rate_limiter.spacing, 0.01)
        borne = now - last >= bears
        answers.append(borne)
        if borne:
            last = now
            rate_limiter.delivered()
        else:
            rate_limiter.throttled()

    assert 500 <= answers.count(True) <= 2_000
    assert answers[100:].count(False) <= len(answers) / 10


def test_an_attempt_that_was_not_made_takes_nothing_of_the_rate() -> None:
    rate_limiter = RateLimiter()
    rate_limiter.limit(5)
    for attempt in range(100):
        rate_limiter.took(attempt, 1.0)
        rate_limiter.gave_back(attempt)

    assert rate_limiter.free_at() <= 1.0


def test_a_raised_rate_limit_does_not_keep_the_distance_of_the_old_one() -> None:
    """As when a worker's first partition arrives before its others: its share is small then."""
    rate_limiter = RateLimiter()
    rate_limiter.limit(1 / 156)
    rate_limiter.took(1, 0.0)

    rate_limiter.limit(1.0)

    assert rate_limiter.free_at() <= 1.0


def test_the_rate_limit_stays_when_the_endpoint_is_forgiven() -> None:
    rate_limiter = RateLimiter()
    rate_limiter.limit(10)
    for _ in range(10):
        rate_limiter.throttled()
    for _ in range(1_000):
        rate_limiter.delivered()

    assert rate_limiter.spacing == pytest.approx(0.1)
    assert rate_limiter.limited


def opened(now: float = 0.0) -> CircuitBreaker:
    breaker = CircuitBreaker()
    breaker.longest = 30.0
    for _ in range(FAILURES_IN_A_ROW):
        breaker.failed(now)
    return breaker


def test_a_breaker_opens_on_failures_in_a_row_for_twice_as_long_each_time_up_to_a_bound() -> None:
    breaker = opened()
    found = []
    for _ in range(6):
        probe_at = breaker.probe_at
        assert probe_at is not None
        found.append(probe_at)
        breaker.failed(probe_at)

    waits = [later - earlier for earlier, later in zip([0.0, *found], found, strict=False)]
    assert waits[:4] == [5, 10, 20, 30]
    assert all(27 <= wait <= 30 for wait in waits[4:])


@pytest.mark.parametrize("rhythm", [10.0, 15.0, 27.0, 28.5, 30.0, 60.0])
def test_no_rhythm_in_which_an_endpoint_fails_hides_that_it_answers_in_between(
    rhythm: float,
) -> None:
    """Down for a third of each cycle, and down at the moment of the first probe of the longest wait."""
    breaker = opened()
    begins = 0.0
    for probe in range(40):
        at = breaker.probe_at
        assert at is not None
        if probe == 3:
            begins = at
        if probe > 3 and (at - begins) % rhythm >= rhythm / 3:
            return
        breaker.failed(at)
    pytest.fail("every probe met it while it was down")


def test_a_breaker_opens_on_half_of_the_attempts_failing() -> None:
    breaker = CircuitBreaker()
    attempts = 0
    while breaker.probe_at is None and attempts < 40:
        attempts += 2
        breaker.succeeded(1.0)
        breaker.failed(1.0)

    assert 20 <= attempts <= 22


def test_failures_that_are_spread_over_time_do_not_open_it() -> None:
    breaker = CircuitBreaker()
    for minute in range(60):
        breaker.failed(60.0 * minute)
        breaker.succeeded(60.0 * minute)

    assert breaker.probe_at is None


def test_an_endpoint_that_only_flaps_waits_longer_each_time() -> None:
    breaker = opened(0.0)
    assert breaker.succeeded(5.0)
    for _ in range(FAILURES_IN_A_ROW):
        breaker.failed(6.0)

    assert breaker.probe_at == 16.0


def test_an_endpoint_that_recovered_starts_with_a_short_wait_again() -> None:
    breaker = opened(0.0)
    for _ in range(10):
        breaker.succeeded(5.0)
    for _ in range(FAILURES_IN_A_ROW):
        breaker.failed(6.0)

    assert breaker.probe_at == 11.0


def test_an_attempt_from_before_it_opened_does_not_prolong_it() -> None:
    breaker = opened(0.0)

    assert not breaker.failed(3.0)
    assert breaker.probe_at == 5.0


def test_the_longer_an_outage_the_longer_a_deferral_up_to_half_an_hour() -> None:
    breaker = opened(0.0)

    assert breaker.put_off_until(0.0) == 5.0
    assert breaker.put_off_until(1_000.0) == 1_500.0
    assert breaker.put_off_until(100_000.0) == 101_800.0


def test_a_breaker_that_has_just_opened_takes_the_length_of_the_outage_from_the_delivery() -> None:
    """A worker was started again in the middle of an outage."""
    breaker = opened(0.0)

    assert breaker.put_off_until(0.0, waited=1_200.0) == 600.0


def test_a_slot_missed_by_half_a_minute_is_reserved_again_at_the_end() -> None:
    slots = Reservations()
    for _ in range(100):
        slots.book(0.0, 1.0, 3_600.0)
    kept = [slots.again(0.0, 1.0, 3_600.0) for _ in range(28)]

    assert max(kept) <= 30.0
    assert slots.again(0.0, 1.0, 3_600.0) > 100.0


def test_slots_behind_others_come_after_all_of_theirs_and_push_none_of_theirs_back() -> None:
    live = Reservations()
    replays = Reservations(before=live)
    first = [live.book(0.0, 1.0, 3_600.0) for _ in range(10)]
    behind = [replays.book(0.0, 1.0, 3_600.0) for _ in range(100)]
    assert min(behind) > max(first)

    later = [live.book(0.0, 1.0, 3_600.0) for _ in range(10)]

    assert max(later) < 22
    assert replays.book(0.0, 1.0, 3_600.0) > max(behind)
    assert live.again(0.0, 1.0, 3_600.0) < replays.again(0.0, 1.0, 3_600.0) < 3


def test_no_slot_is_later_than_its_bound() -> None:
    slots = Reservations()
    found = [slots.book(10.0, 60.0, 300.0) for _ in range(50)]

    assert max(found) == 310.0


def test_lanes_without_a_history_share_one_half_of_the_cap() -> None:
    capacity = Permits(10)
    unproven = [LanePermits() for _ in range(8)]
    for holder in unproven[:5]:
        assert capacity.may_take(reserved=False)
        capacity.take(holder, reserved=False)

    assert not capacity.may_take(reserved=False)
    assert capacity.may_take(reserved=True)


def test_a_prompt_lane_that_starts_to_hang_counts_as_hanging() -> None:
    capacity = Permits(10)
    lane = LanePermits()
    capacity.proved(lane)
    for _ in range(5):
        capacity.take(lane, reserved=True)
    assert capacity.may_take(reserved=False)

    capacity.slowed(lane)
    assert not capacity.may_take(reserved=False)
    capacity.give(lane, reserved=True)
    assert capacity.may_take(reserved=False)
    capacity.proved(lane)

    assert capacity.free == 6
