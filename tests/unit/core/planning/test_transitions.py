"""Pausing, resuming, enabling and deleting define exactly which range of the log is not delivered."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from hookstream.core.model.subscription import (
    Disabled,
    Endpoint,
    Gap,
    SigningSecret,
    Subscription,
    SubscriptionState,
)
from hookstream.core.planning.transitions import MAX_GAPS, SLACK, delete, enable, pause, resume
from hookstream.errors import InputRefused

ACTIVE = Subscription(
    "orders",
    "acme",
    Endpoint("https://acme.example/h", (SigningSecret("generated", bytes(24)),)),
    ("order.generated",),
    active_from=1_000,
)
PAUSED = replace(
    ACTIVE, state=SubscriptionState.PAUSED, gaps=(Gap(5_000, None, "paused"),), revision=2
)
DELETED = replace(
    ACTIVE,
    endpoint=Endpoint("https://acme.example/h", ()),
    state=SubscriptionState.DELETED,
    revision=2,
)
VERDICT = Disabled("orders", 3_000, "gone")


def test_a_pause_opens_a_gap_from_the_stated_instant() -> None:
    assert pause(ACTIVE, 5_000) == PAUSED


def test_a_resume_closes_the_gap() -> None:
    assert resume(PAUSED, 9_000) == replace(
        ACTIVE, gaps=(Gap(5_000, 9_000, "paused"),), revision=3
    )


def test_pausing_twice_changes_nothing() -> None:
    """The gap must start at the first pause: on-calls press twice."""
    assert pause(PAUSED, 8_000) is PAUSED


def test_resuming_what_is_not_paused_changes_nothing() -> None:
    assert resume(ACTIVE, 8_000) is ACTIVE


def test_a_resume_by_a_clock_behind_leaves_an_empty_gap() -> None:
    assert resume(PAUSED, 4_000).gaps == (Gap(5_000, 5_000, "paused"),)


def test_enabling_leaves_a_gap_from_a_minute_before_the_disabling() -> None:
    """Two workers disable by their own clocks: a replay of the gap repeats rather than misses."""
    assert enable(ACTIVE, VERDICT, 9_000) == replace(
        ACTIVE, gaps=(Gap(3_000 - SLACK, 9_000, "disabled"),), revision=2
    )


def test_enabling_a_paused_one_leaves_it_paused() -> None:
    assert enable(PAUSED, VERDICT, 9_000) == replace(
        PAUSED,
        gaps=(Gap(5_000, None, "paused"), Gap(3_000 - SLACK, 9_000, "disabled")),
        revision=3,
    )


def test_resuming_closes_no_gap_of_a_disabling() -> None:
    enabled = enable(PAUSED, VERDICT, 9_000)
    assert resume(enabled, 10_000).gaps == (
        Gap(5_000, 10_000, "paused"),
        Gap(3_000 - SLACK, 9_000, "disabled"),
    )


def test_a_deleted_subscription_keeps_its_name_and_no_secret() -> None:
    assert delete(ACTIVE) == DELETED


def test_nothing_more_can_be_done_to_a_deleted_one() -> None:
    changes: tuple[Callable[[], Subscription], ...] = (
        lambda: pause(DELETED, 1),
        lambda: resume(DELETED, 1),
        lambda: enable(DELETED, VERDICT, 1),
        lambda: delete(DELETED),
    )
    for change in changes:
        with pytest.raises(InputRefused, match="'orders' is deleted"):
            change()


def test_only_the_latest_gaps_are_remembered() -> None:
    """A script that pauses every minute must not grow the row beyond what a topic takes."""
    subscription = ACTIVE
    for minute in range(MAX_GAPS + 5):
        subscription = resume(pause(subscription, minute * 60_000), minute * 60_000 + 1_000)
    assert (len(subscription.gaps), subscription.gaps[0].start) == (MAX_GAPS, 5 * 60_000)
