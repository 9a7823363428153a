"""Whether a replay goes on follows from its subscription as it is."""

import pytest

from hookstream.core.model.hold import ALL, Hold, HoldKind
from hookstream.core.model.subscription import (
    Disabled,
    Endpoint,
    Grant,
    Partner,
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
from hookstream.core.replay.reached import Revisions
from hookstream.core.replay.step_status import Proceed, Refuse, Wait, step_status

CRM = Subscription("crm", "acme", Endpoint("https://crm.test/", ()), ("*",), 0, revision=3)
ACME = Partner("acme", "Acme", Grant(("*",), ("*",)), revision=5)


@pytest.mark.parametrize(
    ("status", "kind", "why"),
    [
        (Live(CRM, None), Wait, "nothing is granted"),
        (Held(CRM, ACME, Hold(HoldKind.EVERYTHING, ALL, 0, "trouble")), Wait, "trouble"),
        (Paused(CRM, ACME, 0), Wait, "crm is paused"),
        (Unreadable(UnreadableSubscription("crm", "acme", (), 0, (), "newer")), Wait, "newer"),
        (Absent(), Wait, "there is no subscription crm"),
        (DisabledStatus(CRM, ACME, Disabled("crm", 0, "gone")), Refuse, "disabled (gone)"),
        (Deleted("crm", "acme"), Refuse, "crm was deleted"),
    ],
)
def test_nothing_is_written_to_one_that_gets_nothing(
    status: SubscriptionStatus, kind: type[Wait | Refuse], why: str
) -> None:
    found = step_status("crm", status, Revisions())
    assert isinstance(found, kind)
    assert why in found.why


def test_changes_since_the_last_step_are_noted() -> None:
    live, now = Live(CRM, ACME), Revisions(3, 5)
    assert step_status("crm", live, Revisions()) == Proceed(now)
    assert step_status("crm", live, now) == Proceed(now)
    assert step_status("crm", live, Revisions(2, 4)) == Proceed(
        now,
        "subscription crm changed (revision 2 to 3): it counts from here on; partner acme changed"
        " (revision 4 to 5): it counts from here on",
    )
