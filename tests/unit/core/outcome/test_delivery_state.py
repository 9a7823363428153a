import pytest
from tests.doubles.deliveries import NOW, a_delivery

from hookstream.core.model.delivery import DeferReason, Trigger
from hookstream.core.model.delivery_headers import read_delivery, tier_headers
from hookstream.core.model.instant import DAY, HOUR, SECOND, Millis
from hookstream.core.model.outcome import (
    DeferUntil,
    Delivered,
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
from hookstream.core.outcome.policy import (
    attempted,
    deferred,
    retried,
    slot_until,
    wait_ended,
)

BROKEN = Failed(FailureKind.STATUS, "answered 500", 500)


def test_a_delivery_waits_until_the_slot_that_its_lane_reserved() -> None:
    delivery = a_delivery()

    found = slot_until(delivery, NOW + HOUR, DeferReason.RATE_LIMITED, NOW)
    deferred(delivery, found, NOW)

    assert found == DeferUntil(NOW + HOUR, DeferReason.RATE_LIMITED)
    assert delivery.has_slot
    assert delivery.deferred_since == NOW


def test_a_slot_never_keeps_a_delivery_beyond_its_expiry() -> None:
    delivery = a_delivery(expires_at=NOW + 5 * SECOND)

    assert slot_until(delivery, NOW + HOUR, DeferReason.LANE_FULL, NOW).due_at == NOW + 5 * SECOND
    # What expired already is not due in the past.
    assert slot_until(delivery, NOW + HOUR, DeferReason.LANE_FULL, NOW + DAY).due_at == NOW + DAY


def test_the_due_time_of_a_retry_is_no_slot_and_is_never_early() -> None:
    delivery = a_delivery()
    deferred(delivery, slot_until(delivery, NOW + 9, DeferReason.BREAKER_OPEN, NOW), NOW)

    retried(delivery, RetryAt(NOW + HOUR))

    assert not delivery.has_slot


def test_a_retry_moves_the_step_and_ends_every_deferral() -> None:
    delivery = a_delivery(
        deferrals=3, deferred_reason=DeferReason.LANE_FULL, deferred_since=NOW - HOUR
    )

    retried(delivery, RetryAt(NOW + 5))

    assert delivery == a_delivery(step=1, due_at=NOW + 5, trigger=Trigger.RETRY)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Trigger.INITIAL, Trigger.RETRY),
        (Trigger.RETRY, Trigger.RETRY),
        (Trigger.REDRIVE, Trigger.RETRY),
        (Trigger.REPLAY, Trigger.REPLAY),
        (Trigger.TEST, Trigger.TEST),
    ],
)
def test_a_replay_stays_a_replay_over_its_retries(before: Trigger, after: Trigger) -> None:
    """A partner that knows the id would drop a replay's retry as a duplicate."""
    delivery = a_delivery(trigger=before)

    retried(delivery, RetryAt(NOW))

    assert delivery.trigger is after


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Delivered(202), ("delivered", 202, None)),
        (Gone(410), ("gone", 410, "answered 410")),
        (Throttled(429, None), ("throttled", 429, "answered 429")),
        (BROKEN, ("failed", 500, "answered 500")),
        (Failed(FailureKind.DNS, "no such name"), ("failed", None, "no such name")),
        (FailedForGood(422), ("failed_for_good", 422, "answered 422")),
        (Refused(RefusalReason.NOT_GRANTED, "why"), ("refused", None, "why")),
    ],
)
def test_the_last_outcome_replaces_the_one_before(
    outcome: Outcome, expected: tuple[str, int | None, str | None]
) -> None:
    delivery = a_delivery(last_outcome="failed", last_status=503, last_error="answered 503")

    attempted(delivery, outcome)

    assert (delivery.last_outcome, delivery.last_status, delivery.last_error) == expected


def test_a_deferral_starts_a_wait_and_the_next_one_continues_it() -> None:
    delivery = a_delivery()

    deferred(delivery, DeferUntil(NOW + 10, DeferReason.PAUSED), NOW)
    deferred(delivery, DeferUntil(NOW + 20, DeferReason.PAUSED), NOW + 10)

    assert delivery == a_delivery(
        due_at=NOW + 20, deferrals=2, deferred_reason=DeferReason.PAUSED, deferred_since=NOW
    )


def test_a_wait_for_another_reason_starts_where_the_previous_one_ends() -> None:
    delivery = a_delivery()
    deferred(delivery, DeferUntil(NOW + DAY, DeferReason.PAUSED), NOW)

    deferred(delivery, DeferUntil(NOW + DAY + 5, DeferReason.LANE_FULL), NOW + DAY)

    assert delivery == a_delivery(
        due_at=NOW + DAY + 5,
        deferrals=2,
        deferred_reason=DeferReason.LANE_FULL,
        deferred_since=NOW + DAY,
        expires_at=NOW + 8 * DAY,
    )


def test_a_hop_down_is_part_of_the_wait_that_it_belongs_to() -> None:
    delivery = a_delivery()
    deferred(delivery, DeferUntil(NOW + DAY, DeferReason.PAUSED), NOW)

    hopped = read_delivery(tier_headers(delivery, (), written_at=NOW + HOUR))

    assert hopped == a_delivery(
        due_at=NOW + DAY, deferrals=1, deferred_reason=DeferReason.PAUSED, deferred_since=NOW
    )


@pytest.mark.parametrize(
    ("reason", "moved"),
    [
        (DeferReason.PAUSED, DAY),
        (DeferReason.HELD, DAY),
        (DeferReason.SUBSCRIPTION_ABSENT, DAY),
        (DeferReason.SUBSCRIPTION_UNREADABLE, DAY),
        (DeferReason.LANE_FULL, 0),
    ],
)
def test_only_a_wait_of_our_own_doing_moves_the_expiry(reason: DeferReason, moved: Millis) -> None:
    delivery = a_delivery()
    deferred(delivery, DeferUntil(NOW + HOUR, reason), NOW)

    wait_ended(delivery, NOW + DAY)

    assert delivery == a_delivery(due_at=NOW + HOUR, deferrals=1, expires_at=NOW + 7 * DAY + moved)


def test_a_clock_that_went_back_shortens_no_life() -> None:
    delivery = a_delivery()
    deferred(delivery, DeferUntil(NOW + HOUR, DeferReason.PAUSED), NOW)

    wait_ended(delivery, NOW - HOUR)

    assert delivery.expires_at == NOW + 7 * DAY


def test_a_wait_that_never_started_ends_without_a_trace() -> None:
    delivery = a_delivery()

    wait_ended(delivery, NOW + DAY)

    assert delivery == a_delivery()
