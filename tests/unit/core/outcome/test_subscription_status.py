from dataclasses import replace

import pytest
from tests.doubles.deliveries import NOW, a_delivery

from hookstream.core.model.delivery import DeferReason, Delivery, Trigger
from hookstream.core.model.hold import ALL, Hold, HoldKind
from hookstream.core.model.instant import DAY, HOUR, MINUTE, SECOND, Millis
from hookstream.core.model.outcome import (
    Cancel,
    DeadLetter,
    DeadReason,
    DeferUntil,
    Disposition,
)
from hookstream.core.model.record import Origin
from hookstream.core.model.subscription import (
    Disabled,
    Endpoint,
    Gap,
    Subscription,
    UnreadableSubscription,
)
from hookstream.core.model.subscription_status import (
    Absent,
    Deleted,
    DisabledStatus,
    Held,
    Live,
    Paused,
    SubscriptionStatus,
    Unreadable,
)
from hookstream.core.outcome.policy import WaitRules, before_attempt, deferred, wait_ended

SUBSCRIPTION = Subscription("orders", "acme", Endpoint("https://acme.example", ()), ("*",), 0)
HELD = Held(SUBSCRIPTION, None, Hold(HoldKind.EVERYTHING, ALL, NOW, "a deploy"))
DISABLED = DisabledStatus(SUBSCRIPTION, None, Disabled("orders", NOW, "gone"))


def instead(
    status: SubscriptionStatus, delivery: Delivery, now: Millis = NOW
) -> Disposition | None:
    rules = WaitRules(
        absent_grace=7 * DAY,
        paused_for=14 * DAY,
        pause_hop=30 * MINUTE,
        hold_hops=(5 * SECOND, 30 * SECOND, MINUTE, 5 * MINUTE, 30 * MINUTE, HOUR),
    )
    return before_attempt(status, delivery, rules, now=now)


def test_a_live_subscription_is_attempted() -> None:
    assert instead(Live(SUBSCRIPTION, None), a_delivery()) is None


@pytest.mark.parametrize(
    "status",
    [
        Live(SUBSCRIPTION, None),
        Paused(SUBSCRIPTION, None, NOW),
        DISABLED,
        HELD,
    ],
    ids=lambda status: type(status).__name__,
)
def test_a_delivery_of_an_earlier_life_of_its_id_is_cancelled_whatever_the_later_one_allows(
    status: Live | Paused | DisabledStatus | Held,
) -> None:
    """It waits for nothing, and is no dead letter of a subscription that it was never owed to."""
    later = replace(SUBSCRIPTION, active_from=NOW)
    earlier = a_delivery(origin=Origin("t", 0, 7, NOW - 1), expires_at=NOW - 1)
    assert instead(replace(status, subscription=later), earlier) == Cancel(
        "subscription orders was deleted and re-created after the event"
    )


@pytest.mark.parametrize("expires_at", [NOW - 1, NOW + DAY])
def test_a_run_that_a_job_began_for_an_earlier_life_of_its_id_is_cancelled(
    expires_at: int,
) -> None:
    """Its event may be of any time: what counts is when the run began."""
    later = Live(replace(SUBSCRIPTION, active_from=NOW), None)
    for at in (NOW - 1, NOW):
        run = a_delivery(job="replay-1", first_at=at, expires_at=expires_at)
        assert instead(later, run, NOW + 1) == Cancel(
            "subscription orders was deleted and re-created after replay-1 had begun to deliver the event"
        )
    assert (
        instead(later, a_delivery(job="replay-1", first_at=NOW + 1, expires_at=NOW + DAY)) is None
    )


def test_what_a_subscription_was_created_with_is_its_own_whenever_its_run_began() -> None:
    """Earlier releases filled a gap before the subscription took effect; a test goes to whoever has the id."""
    past = (Gap(0, NOW, "started", "replay-1"),)
    started = Live(replace(SUBSCRIPTION, active_from=NOW, gaps=past), None)
    run = a_delivery(job="replay-1", first_at=NOW - 1, expires_at=NOW + DAY)
    assert instead(started, run) is None
    assert isinstance(instead(started, replace(run, job="replay-2")), Cancel)
    assert instead(started, replace(run, job="test-1", trigger=Trigger.TEST)) is None


def test_an_expired_delivery_is_not_attempted() -> None:
    found = instead(Live(SUBSCRIPTION, None), a_delivery(expires_at=NOW))

    assert found == DeadLetter(DeadReason.EXPIRED, "not delivered by 2023-11-14T22:13:20.000Z")


def test_a_wait_of_our_own_doing_expires_nothing() -> None:
    """A pause of ten days must not expire what had seven days left."""
    waited = a_delivery(
        deferred_reason=DeferReason.PAUSED, deferred_since=NOW, expires_at=NOW + DAY
    )

    found = [
        instead(Live(SUBSCRIPTION, None), waited, NOW + 10 * DAY),
        instead(Live(SUBSCRIPTION, None), replace(waited, expires_at=NOW), NOW + 10 * DAY),
    ]

    assert found == [
        None,
        DeadLetter(DeadReason.EXPIRED, "not delivered by 2023-11-24T22:13:20.000Z"),
    ]


def test_a_full_lane_does_age_a_delivery() -> None:
    waited = a_delivery(
        deferred_reason=DeferReason.LANE_FULL, deferred_since=NOW, expires_at=NOW + DAY
    )

    found = instead(Live(SUBSCRIPTION, None), waited, NOW + DAY)

    assert found == DeadLetter(DeadReason.EXPIRED, "not delivered by 2023-11-15T22:13:20.000Z")


def test_a_paused_subscription_makes_its_deliveries_wait_in_hops() -> None:
    paused = Paused(SUBSCRIPTION, None, NOW - DAY)
    waiting = a_delivery(
        deferred_reason=DeferReason.PAUSED, deferred_since=NOW - 14 * DAY + 1, expires_at=0
    )

    found = [instead(paused, a_delivery()), instead(paused, waiting)]

    assert found == [
        DeferUntil(NOW + 30 * MINUTE, DeferReason.PAUSED),
        DeferUntil(NOW + 1, DeferReason.PAUSED),
    ]


def test_a_delivery_that_was_paused_for_too_long_is_dead_lettered() -> None:
    waiting = a_delivery(deferred_reason=DeferReason.PAUSED, deferred_since=NOW - 14 * DAY)

    assert instead(Paused(SUBSCRIPTION, None, 0), waiting) == DeadLetter(
        DeadReason.PAUSED_TOO_LONG,
        "the subscription has been paused since 2023-10-31T22:13:20.000Z",
    )


def test_a_wait_for_another_reason_does_not_count_towards_the_pause() -> None:
    waiting = a_delivery(deferred_reason=DeferReason.LANE_FULL, deferred_since=NOW - 20 * DAY)

    found = instead(Paused(SUBSCRIPTION, None, 0), waiting)

    assert found == DeferUntil(NOW + 30 * MINUTE, DeferReason.PAUSED)


@pytest.mark.parametrize(
    ("waited", "hop"),
    [
        (0, 5 * SECOND),
        (5 * SECOND, 5 * SECOND),
        (10 * SECOND, 10 * SECOND),
        (HOUR, 30 * MINUTE),
        (7 * DAY - 1, 1),
    ],
)
def test_an_absent_subscription_is_waited_for_in_growing_hops(waited: Millis, hop: Millis) -> None:
    """Absent never means deleted: mostly the subscription was created a moment ago."""
    waiting = a_delivery(
        deferred_reason=DeferReason.SUBSCRIPTION_ABSENT, deferred_since=NOW - waited
    )

    assert instead(Absent(), waiting) == DeferUntil(NOW + hop, DeferReason.SUBSCRIPTION_ABSENT)


def test_deliveries_of_an_absent_subscription_are_dead_lettered_after_the_grace() -> None:
    waiting = a_delivery(
        deferred_reason=DeferReason.SUBSCRIPTION_ABSENT, deferred_since=NOW - 7 * DAY
    )

    assert instead(Absent(), waiting) == DeadLetter(
        DeadReason.SUBSCRIPTION_ABSENT,
        "since 2023-11-07T22:13:20.000Z, subscription orders is not in the table",
    )


def test_an_unreadable_subscription_is_waited_for_like_an_absent_one() -> None:
    status = Unreadable(UnreadableSubscription("orders", "acme", ("*",), 0, (), "newer release"))
    waiting = a_delivery(
        deferred_reason=DeferReason.SUBSCRIPTION_UNREADABLE, deferred_since=NOW - 7 * DAY
    )

    found = [instead(status, a_delivery()), instead(status, waiting)]

    assert found == [
        DeferUntil(NOW + 5 * SECOND, DeferReason.SUBSCRIPTION_UNREADABLE),
        DeadLetter(
            DeadReason.SUBSCRIPTION_ABSENT,
            "since 2023-11-07T22:13:20.000Z, subscription orders cannot be read: newer release",
        ),
    ]


def test_a_deleted_subscription_cancels_its_deliveries() -> None:
    assert instead(Deleted("orders", "acme"), a_delivery()) == Cancel(
        "subscription orders was deleted"
    )


def test_a_disabled_subscription_dead_letters_its_deliveries() -> None:
    assert instead(DISABLED, a_delivery()) == DeadLetter(
        DeadReason.DISABLED, "disabled since 2023-11-14T22:13:20.000Z: gone"
    )


def test_a_held_delivery_is_rechecked_soon_at_first_and_finally_every_five_minutes() -> None:
    """After a hold is cleared, deliveries wait for as long as it lasted, and never for hours."""
    waits = []
    delivery, now = a_delivery(), NOW
    for _ in range(7):
        found = instead(HELD, delivery, now)
        assert isinstance(found, DeferUntil)
        assert found.reason is DeferReason.HELD
        deferred(delivery, found, now)
        waits.append(found.due_at - now)
        now = found.due_at

    assert waits == [5 * SECOND, 30 * SECOND, MINUTE] + 4 * [5 * MINUTE]


def test_a_hold_of_a_month_expires_nothing() -> None:
    held = a_delivery(deferred_reason=DeferReason.HELD, deferred_since=NOW, expires_at=NOW + 1)

    found = instead(HELD, held, NOW + 30 * DAY)
    wait_ended(held, NOW + 30 * DAY)

    assert found == DeferUntil(NOW + 30 * DAY + 5 * MINUTE, DeferReason.HELD)
    assert held.expires_at == NOW + 30 * DAY + 1


def test_what_had_expired_before_it_was_held_is_dead_lettered() -> None:
    """A hold stops attempts; it extends no expired delivery."""
    found = instead(HELD, a_delivery(expires_at=NOW))

    assert isinstance(found, DeadLetter)
    assert found.reason is DeadReason.EXPIRED


def test_a_ladder_without_short_tiers_lets_a_held_delivery_wait_all_the_same() -> None:
    rules = WaitRules(absent_grace=DAY, paused_for=DAY, pause_hop=HOUR)

    found = before_attempt(HELD, a_delivery(), rules, now=NOW)

    assert found == DeferUntil(NOW + 5 * SECOND, DeferReason.HELD)
