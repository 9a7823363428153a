"""Whether a replay goes on follows from its subscription as it is."""

from dataclasses import replace

import pytest

from hookstream.core.jobs.job import Job
from hookstream.core.model.hold import ALL, Hold, HoldKind
from hookstream.core.model.subscription import (
    Disabled,
    Endpoint,
    Gap,
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
ASKED, NOW = 1_000, 9_000
JOB = Job("replay-1", "replay", {}, ASKED)


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
    found = step_status("crm", status, Revisions(), JOB, NOW)
    assert isinstance(found, kind)
    assert why in found.why


def test_changes_since_the_last_step_are_noted() -> None:
    live, now = Live(CRM, ACME), Revisions(3, 5)
    assert step_status("crm", live, Revisions(), JOB, NOW) == Proceed(now)
    assert step_status("crm", live, now, JOB, NOW) == Proceed(now)
    assert step_status("crm", live, Revisions(2, 4), JOB, NOW) == Proceed(
        now,
        "subscription crm changed (revision 2 to 3): it counts from here on; partner acme changed"
        " (revision 4 to 5): it counts from here on",
    )


@pytest.mark.parametrize("active_from", [ASKED, NOW - 1])
def test_a_replay_is_refused_to_one_that_was_created_again_after_it(active_from: int) -> None:
    """It was requested for the earlier subscription of the id, whose receiver may be another."""
    again = Live(replace(CRM, active_from=active_from), ACME)
    assert step_status("crm", again, Revisions(), JOB, NOW) == Refuse(
        "crm was deleted and created again after the replay was requested: request another one"
    )


def test_a_replay_of_a_gap_is_older_than_its_subscription_and_waits_until_every_worker_has_it() -> (
    None
):
    """Its row is written with that of the subscription, which takes effect later."""
    past = (Gap(0, 5_000, "started", JOB.id),)
    live = Live(replace(CRM, active_from=5_000, gaps=past), ACME)
    found = [step_status("crm", live, Revisions(), JOB, now) for now in (5_000, 5_001)]
    assert found == [Wait("crm starts at 1970-01-01T00:00:05.000Z"), Proceed(Revisions(3, 5))]
    other = replace(JOB, id="replay-2")
    assert isinstance(step_status("crm", live, Revisions(), other, NOW), Refuse)
