"""What can be done about a delivery follows from its state and its subscription's."""

from dataclasses import replace

import pytest
from tests.doubles.lives import DEATH, FIRST, LAST
from tests.unit.core.audit.test_run_states import DELIVERED, WAITS

from hookstream.core.audit.history import DeliveryHistory
from hookstream.core.model.hold import ALL, Hold, HoldKind
from hookstream.core.model.subscription import Disabled, Endpoint, Subscription
from hookstream.core.model.subscription_status import (
    Deleted,
    DisabledStatus,
    Held,
    Live,
    Paused,
    SubscriptionStatus,
)
from hookstream.entry.admin.delivery_remedies import remedies

SUBSCRIPTION = Subscription(
    "crm", "acme", Endpoint("https://crm.example", ()), ("pricing.completed",), active_from=0
)
LIVE = Live(SUBSCRIPTION, None)
PENDING = DeliveryHistory("msg_a", (FIRST,), ())
DEAD = DeliveryHistory("msg_a", (FIRST, LAST), (DEATH,))
RESEND = "to send it again, in a new run: hookstream deliveries resend msg_a"


def of_pending(status: SubscriptionStatus | None) -> list[str]:
    return list(remedies(PENDING, (WAITS,), "crm", status, 2_000))


def test_what_waits_for_its_time_needs_nothing() -> None:
    nothing = "nothing: it is attempted automatically, and is due at 1970-01-01 00:00:06Z"
    assert of_pending(LIVE) == of_pending(None) == [nothing, RESEND]


@pytest.mark.parametrize(
    ("status", "command"),
    [
        (
            Held(SUBSCRIPTION, None, Hold(HoldKind.PARTNER, "acme", 0, "INC-1")),
            "hookstream hold clear partner acme",
        ),
        (
            Held(SUBSCRIPTION, None, Hold(HoldKind.EVERYTHING, ALL, 0, "INC-1")),
            "hookstream hold clear everything",
        ),
        (Paused(SUBSCRIPTION, None, 1_000), "hookstream subscriptions resume crm"),
        (
            DisabledStatus(SUBSCRIPTION, None, Disabled("crm", 1_000, "gone")),
            "hookstream subscriptions enable crm",
        ),
    ],
)
def test_what_waits_for_an_operator_names_the_command(
    status: SubscriptionStatus, command: str
) -> None:
    assert of_pending(status)[0].endswith(command)


def test_nothing_is_offered_for_a_deleted_subscription() -> None:
    [only] = of_pending(Deleted("crm", "acme"))
    assert only == "crm is deleted: its pending runs are cancelled when they are due"


def test_a_disabled_subscription_is_enabled_before_anything_is_sent_again() -> None:
    status = DisabledStatus(SUBSCRIPTION, None, Disabled("crm", 1_000, "gone"))
    assert RESEND not in of_pending(status)


def test_an_open_dead_letter_can_be_redriven_and_a_resolved_one_cannot() -> None:
    redrive = "to redrive it, in the same run: hookstream dlq redrive 3@7"
    assert list(remedies(DEAD, (), "crm", LIVE, 9_000)) == [redrive, RESEND]
    redriven = replace(DEATH, redriven_by="job", redriven_at=8_000)
    done = replace(DEAD, entries=(FIRST, LAST, DELIVERED), deaths=(redriven,))
    assert list(remedies(done, (), "crm", LIVE, 9_000)) == [RESEND]


def test_a_delivery_that_is_in_no_tier_though_it_is_pending_is_to_be_asked_for_again() -> None:
    [first, _] = remedies(PENDING, (), "crm", LIVE, 9_000)
    assert first.startswith("no tier has it")


def test_a_test_is_not_sent_again_but_another_one_can_be() -> None:
    tested = DeliveryHistory("msg_a", (replace(DELIVERED, trigger="test"),), ())
    [only] = remedies(tested, (), "crm", LIVE, 9_000)
    assert only == "it is a test; for another one: hookstream subscriptions test crm"
