"""What comes next says when and why, or that nothing does and what can be done."""

from dataclasses import replace

import pytest
from tests.doubles.lives import DEATH, FIRST, LAST, REDRIVEN
from tests.unit.core.audit.test_run_states import DELIVERED, DELIVERY, WAITS

from hookstream.core.audit.entry import AuditEntry
from hookstream.core.audit.history import DeadLettered, DeliveryHistory
from hookstream.core.audit.next_step import Coming, NextStep, Remedy, StoppedBy, next_step, stopped
from hookstream.core.model.delivery import DeferReason
from hookstream.core.model.hold import Hold, HoldKind
from hookstream.core.model.subscription import (
    Disabled,
    Endpoint,
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

CRM = Subscription(
    "crm", "acme", Endpoint("https://crm.example", ()), ("pricing.completed",), active_from=0
)
LIVE = Live(CRM, None)
HELD = Held(CRM, None, Hold(HoldKind.PARTNER, "acme", 0, "INC-1"))
PAUSED = Paused(CRM, None, 1_000)
DISABLED = DisabledStatus(CRM, None, Disabled("crm", 1_000, "gone"))
DELETED = Deleted("crm", "acme")


def life(*entries: AuditEntry, deaths: tuple[DeadLettered, ...] = ()) -> DeliveryHistory:
    return DeliveryHistory("msg_a", entries, deaths)


def test_what_waits_is_attempted_by_itself_when_it_is_due() -> None:
    assert next_step(life(FIRST), (WAITS,), LIVE) == NextStep(
        Coming.ATTEMPT, Remedy.NONE, 6_000, 2, None, "retry"
    )


def test_what_has_a_slot_may_come_early() -> None:
    full = replace(
        DELIVERY, deferred_reason=DeferReason.LANE_FULL, deferred_since=2_000, job="resend-1"
    )
    assert next_step(life(FIRST), (replace(WAITS, delivery=full),), None) == NextStep(
        Coming.ATTEMPT, Remedy.NONE, 6_000, 2, "resend-1", "lane_full", None, early=True
    )


@pytest.mark.parametrize(
    ("status", "by", "remedy"),
    [
        (HELD, StoppedBy.HELD, Remedy.CLEAR_HOLD),
        (PAUSED, StoppedBy.PAUSED, Remedy.RESUME),
        (DISABLED, StoppedBy.DISABLED, Remedy.ENABLE),
        (DELETED, StoppedBy.DELETED, Remedy.NONE),
        (Absent(), StoppedBy.ABSENT, Remedy.NONE),
        (
            Unreadable(UnreadableSubscription("crm", "acme", (), 0, (), "why")),
            StoppedBy.UNREADABLE,
            Remedy.NONE,
        ),
    ],
)
def test_what_waits_behind_its_subscription_says_behind_what(
    status: SubscriptionStatus, by: StoppedBy, remedy: Remedy
) -> None:
    found = next_step(life(FIRST), (WAITS,), status)
    assert (found.coming, found.stopped_by, found.remedy) == (Coming.STOPPED, by, remedy)
    assert stopped(status) is by


def test_of_a_dead_lettered_delivery_nothing_comes_until_it_is_redriven() -> None:
    assert next_step(life(FIRST, LAST, deaths=(DEATH,)), (), LIVE) == NextStep(
        Coming.NOTHING, Remedy.REDRIVE, place="3@7"
    )


def test_of_an_ended_delivery_nothing_comes_until_it_is_sent_again() -> None:
    completed = next_step(life(FIRST, DELIVERED), (), LIVE)
    assert completed == NextStep(Coming.NOTHING, Remedy.RESEND)
    assert next_step(life(FIRST, LAST), (), LIVE).remedy is Remedy.RESEND, "its letter is gone"


@pytest.mark.parametrize(("status", "remedy"), [(DELETED, Remedy.NONE), (DISABLED, Remedy.ENABLE)])
def test_nothing_is_sent_again_to_what_is_deleted_or_disabled(
    status: SubscriptionStatus, remedy: Remedy
) -> None:
    assert next_step(life(FIRST, LAST, deaths=(DEATH,)), (), status).remedy is remedy


def test_what_no_tier_has_and_has_not_ended_is_in_hand() -> None:
    assert next_step(life(FIRST), (), LIVE).coming is Coming.IN_HAND
    assert next_step(life(FIRST, LAST, deaths=(REDRIVEN,)), (), LIVE).coming is Coming.IN_HAND


def test_of_a_test_only_another_one_can_be_sent() -> None:
    test = replace(FIRST, trigger="test", disposition="cancel", job_id="test-1")
    assert next_step(life(test), (), LIVE) == NextStep(Coming.NOTHING, Remedy.TEST_AGAIN)
