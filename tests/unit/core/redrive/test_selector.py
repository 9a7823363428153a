import pytest
from tests.doubles.deliveries import NOW, a_delivery

from hookstream.core.model.delivery import DeferReason, Trigger
from hookstream.core.model.delivery_headers import dead_letter_headers
from hookstream.core.model.header_reading import HeaderProblem
from hookstream.core.model.instant import DAY, HOUR
from hookstream.core.model.outcome import DeadReason
from hookstream.core.redrive.revive import redriven
from hookstream.core.redrive.selector import Selector

DEAD = a_delivery(
    attempt=9,
    step=8,
    trigger=Trigger.RETRY,
    deferrals=4,
    deferred_reason=DeferReason.PAUSED,
    deferred_since=NOW - DAY,
    last_outcome="failed",
    last_status=500,
    last_error="answered 500",
    traceparent="00-1-2-01",
)
HEADERS = dead_letter_headers(
    DEAD, (), DeadReason.ATTEMPTS_EXHAUSTED, "attempt 9 was the last", written_at=NOW
)


def test_a_redriven_delivery_restarts_its_schedule_and_continues_its_attempt_count() -> None:
    """Its identity and its history stay: the partner deduplicates, the trace continues."""
    found = redriven(HEADERS, now=NOW + 20 * DAY, expires_after=2 * DAY)

    assert found == a_delivery(
        attempt=9,
        trigger=Trigger.REDRIVE,
        expires_at=NOW + 22 * DAY,
        last_outcome="failed",
        last_status=500,
        last_error="answered 500",
        traceparent="00-1-2-01",
    )


def test_an_unreadable_dead_letter_is_not_redriven() -> None:
    assert redriven((), now=NOW) == HeaderProblem("hs-delivery-id", "is missing or empty")


@pytest.mark.parametrize(
    "selector",
    [
        Selector(),
        Selector(subscriptions=frozenset({"orders", "crm"})),
        Selector(event_types=frozenset({"pricing.completed"})),
        Selector(reasons=frozenset({"attempts_exhausted"})),
        Selector(partners=frozenset({"acme"})),
        Selector(statuses=frozenset({"500", "503"})),
        Selector(since=NOW),
        Selector(until=NOW + 1),
        Selector(
            subscriptions=frozenset({"orders"}),
            event_types=frozenset({"pricing.completed"}),
            reasons=frozenset({"attempts_exhausted"}),
            since=NOW - HOUR,
            until=NOW + HOUR,
            partners=frozenset({"acme"}),
        ),
    ],
)
def test_a_dead_letter_that_meets_every_condition_is_selected(selector: Selector) -> None:
    assert selector.selects(HEADERS, NOW)


@pytest.mark.parametrize(
    "selector",
    [
        Selector(subscriptions=frozenset()),
        Selector(subscriptions=frozenset({"crm"})),
        Selector(event_types=frozenset({"pricing.*"})),
        Selector(reasons=frozenset({"gone"})),
        Selector(partners=frozenset({"other"})),
        Selector(statuses=frozenset({"503", "50"})),
        Selector(since=NOW + 1),
        Selector(until=NOW),
        Selector(subscriptions=frozenset({"orders"}), reasons=frozenset({"gone"})),
    ],
)
def test_a_dead_letter_that_fails_one_condition_is_not_selected(selector: Selector) -> None:
    assert not selector.selects(HEADERS, NOW)


def test_a_dead_letter_without_the_requested_header_is_not_selected() -> None:
    assert not Selector(reasons=frozenset({"gone"})).selects([("hs-reason", None)], NOW)
