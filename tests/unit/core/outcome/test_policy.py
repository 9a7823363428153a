import pytest
from tests.doubles.deliveries import NOW, a_delivery

from hookstream.core.model.delivery import Delivery
from hookstream.core.model.instant import HOUR, MINUTE, SECOND, Millis
from hookstream.core.model.outcome import (
    Complete,
    DeadLetter,
    DeadReason,
    Delivered,
    Disposition,
    Failed,
    FailedForGood,
    FailureKind,
    Gone,
    Outcome,
    RefusalReason,
    Refused,
    RetryAt,
    Throttled,
)
from hookstream.core.model.subscription import (
    DEFAULT_SCHEDULE,
    RetryPolicy,
)
from hookstream.core.outcome.policy import (
    decide,
)

RETRY = RetryPolicy()
BROKEN = Failed(FailureKind.STATUS, "answered 500", 500)


def decided(outcome: Outcome, delivery: Delivery, *, jitter: float = 0.0) -> Disposition:
    return decide(outcome, delivery, RETRY, now=NOW, jitter=jitter)


def test_a_delivered_delivery_is_complete() -> None:
    assert decided(Delivered(204), a_delivery()) == Complete()


def test_a_gone_endpoint_is_disabled_and_not_retried() -> None:
    assert decided(Gone(410), a_delivery()) == DeadLetter(
        DeadReason.GONE, "answered 410: the endpoint is retired", disable=True
    )


@pytest.mark.parametrize(("step", "delay"), list(enumerate(DEFAULT_SCHEDULE)))
def test_a_failure_is_retried_by_the_schedule(step: int, delay: Millis) -> None:
    assert decided(BROKEN, a_delivery(step=step)) == RetryAt(NOW + delay)


@pytest.mark.parametrize(
    ("step", "jitter", "spread"),
    [(0, 0.5, 250), (1, 0.5, 15 * SECOND), (7, 0.5, 15 * SECOND), (7, 0.999, 29_970)],
)
def test_jitter_is_a_tenth_of_the_delay_and_never_beyond_thirty_seconds(
    step: int, jitter: float, spread: Millis
) -> None:
    """10 % of 24 h would make the longest tier's log order a bad guess at its due order."""
    found = decided(BROKEN, a_delivery(step=step), jitter=jitter)

    assert found == RetryAt(NOW + DEFAULT_SCHEDULE[step] + spread)


def test_a_failure_after_the_last_delay_ends_the_delivery() -> None:
    spent = a_delivery(step=len(DEFAULT_SCHEDULE), attempt=9)

    assert decided(BROKEN, spent) == DeadLetter(
        DeadReason.ATTEMPTS_EXHAUSTED,
        "attempt 9 was the last of the schedule: answered 500",
    )


def test_a_retry_that_would_come_after_the_expiry_is_not_waited_for() -> None:
    found = decided(BROKEN, a_delivery(step=1, expires_at=NOW + 5 * MINUTE - 1))

    assert found == DeadLetter(
        DeadReason.EXPIRED,
        "the next attempt would come after 2023-11-14T22:18:19.999Z: answered 500",
    )


def test_a_retry_right_at_the_expiry_is_made() -> None:
    found = decided(BROKEN, a_delivery(step=1, expires_at=NOW + 5 * MINUTE))

    assert found == RetryAt(NOW + 5 * MINUTE)


@pytest.mark.parametrize(
    ("step", "asked", "due"),
    [
        (0, 7 * MINUTE, 7 * MINUTE),
        (0, 4 * SECOND, 5 * SECOND + 500),
        (0, 5 * SECOND, 5 * SECOND + 500),
        (0, 5 * SECOND + 501, 5 * SECOND + 501),
        (0, None, 5 * SECOND + 500),
        (2, 0, 30 * MINUTE + 30 * SECOND),
    ],
)
def test_a_throttled_retry_is_never_sooner_than_retry_after_nor_than_the_schedule(
    step: int, asked: Millis | None, due: Millis
) -> None:
    """The time of a Retry-After is exact: it has no jitter."""
    found = decided(Throttled(429, asked), a_delivery(step=step), jitter=1.0)

    assert found == RetryAt(NOW + due)


def test_throttling_counts_as_an_attempt_too() -> None:
    spent = a_delivery(step=len(DEFAULT_SCHEDULE), attempt=9)

    assert decided(Throttled(429, 60_000), spent) == DeadLetter(
        DeadReason.ATTEMPTS_EXHAUSTED, "attempt 9 was the last of the schedule: answered 429"
    )


def test_a_retry_after_beyond_the_expiry_ends_the_delivery_now() -> None:
    found = decided(Throttled(503, 24 * HOUR), a_delivery(expires_at=NOW + HOUR))

    assert isinstance(found, DeadLetter)
    assert found.reason is DeadReason.EXPIRED


def test_a_final_status_ends_the_delivery() -> None:
    assert decided(FailedForGood(422), a_delivery()) == DeadLetter(
        DeadReason.FINAL_STATUS, "answered 422, which the subscription lists as final"
    )


@pytest.mark.parametrize("reason", list(RefusalReason))
def test_a_refused_request_is_a_dead_letter_with_that_reason(reason: RefusalReason) -> None:
    assert decided(Refused(reason, "why"), a_delivery()) == DeadLetter(
        DeadReason(reason.value), "why"
    )


def test_a_subscription_without_a_schedule_makes_one_attempt() -> None:
    found = decide(BROKEN, a_delivery(), RetryPolicy(schedule=()), now=NOW, jitter=0.0)

    assert found == DeadLetter(
        DeadReason.ATTEMPTS_EXHAUSTED, "attempt 1 was the last of the schedule: answered 500"
    )


def test_an_expiry_beyond_all_calendars_is_still_shown() -> None:
    """State read from headers may contain any instant; showing it must not fail."""
    found = decided(Throttled(429, 10**20), a_delivery(expires_at=10**18))

    assert found == DeadLetter(
        DeadReason.EXPIRED, f"the next attempt would come after {10**18} ms: answered 429"
    )
