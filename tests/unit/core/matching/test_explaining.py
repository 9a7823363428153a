"""Each condition that keeps an event from a subscription is named, with what to compare."""

from dataclasses import replace

import pytest

from hookstream.core.matching.directory import Directory, Question
from hookstream.core.matching.explaining import Condition, Unmet, is_shown_to, unmet
from hookstream.core.model.json import JsonObject
from hookstream.core.model.outcome import RefusalReason, Refused
from hookstream.core.model.subscription import (
    Disabled,
    Endpoint,
    Gap,
    Grant,
    HeldGrant,
    Partner,
    Subscription,
    SubscriptionState,
    UnreadableSubscription,
)

PRICED = "pricing.completed"
EVERYTHING = Grant(("*",), ("*",))
ACME = Partner("acme", "Acme", EVERYTHING, history=(HeldGrant(EVERYTHING, 0),))
HERS = Subscription("s1", "acme", Endpoint("https://acme.example", ()), (PRICED,), active_from=100)
ORDERS = Grant(("order.*",), ("*",))
BODY: JsonObject = {"data": {"total": 12}}


def asked(
    subscription: Subscription | UnreadableSubscription = HERS,
    partner: Partner | None = ACME,
    disabled: Disabled | None = None,
    body: JsonObject | Refused = BODY,
) -> list[Unmet]:
    directory = Directory()
    if partner is not None:
        directory.put_partner(partner)
    directory.put_subscription(subscription)
    question = Question(PRICED, "live", 1_000, lambda _: body, 1)
    found = unmet(directory, subscription, disabled, question)
    if disabled is not None:
        directory.put_disabled(disabled)
    # What is explained is what matching does.
    assert (not found) == any(directory.match(question))
    return found


def test_what_matches_has_no_condition_unmet() -> None:
    assert asked() == []


@pytest.mark.parametrize(
    ("change", "condition", "why"),
    [
        ({"state": SubscriptionState.DELETED}, Condition.SUBSCRIPTION, "it is deleted"),
        (
            {"event_types": ("order.*", "routing.decided")},
            Condition.EVENT_TYPE,
            "it does not ask for pricing.completed, only for order.*, routing.decided",
        ),
        (
            {"environments": ("staging",)},
            Condition.ENVIRONMENT,
            "the event's is live; it asks for staging",
        ),
        (
            {"active_from": 1_000},
            Condition.ACTIVE,
            (
                "it is active from 1970-01-01T00:00:01.000Z, and the record is from"
                " 1970-01-01T00:00:01.000Z"
            ),
        ),
        (
            {"gaps": (Gap(900, 2_000, "paused"),)},
            Condition.ACTIVE,
            (
                "it was paused from 1970-01-01T00:00:00.900Z to 1970-01-01T00:00:02.000Z, and no"
                " replay filled that gap"
            ),
        ),
        (
            {"gaps": (Gap(900, 2_000, "disabled", "job-1"),)},
            Condition.ACTIVE,
            (
                "it was disabled from 1970-01-01T00:00:00.900Z to 1970-01-01T00:00:02.000Z; replay"
                " job-1 has that gap"
            ),
        ),
        (
            {"pattern": {"data": {"total": [13]}}},
            Condition.FILTER,
            "data.total is 12; the pattern asks for 13",
        ),
    ],
)
def test_a_condition_of_the_subscription_is_named(
    change: dict[str, object], condition: Condition, why: str
) -> None:
    changed = replace(HERS, **change)  # type: ignore[arg-type]  # as the cases say
    assert asked(changed) == [Unmet(condition, why)]


@pytest.mark.parametrize(
    ("partner", "why"),
    [
        (None, "there is no partner acme, so nothing is granted"),
        (
            replace(ACME, grant=ORDERS, history=()),
            "today's grant does not cover pricing.completed (it has order.*)",
        ),
        (
            replace(ACME, grant=Grant(("*",), ("staging",)), history=()),
            "today's grant does not cover environment live (it has staging)",
        ),
        (
            replace(ACME, grant=replace(EVERYTHING, pattern={"data": {"total": [1]}}), history=()),
            "today's grant does not cover it: data.total is 12; the pattern asks for 1",
        ),
        (
            replace(ACME, history=(HeldGrant(ORDERS, 0), HeldGrant(EVERYTHING, 5_000))),
            (
                "the grant at the record's time does not cover pricing.completed (it has order.*);"
                " today's does"
            ),
        ),
        (
            replace(ACME, history=(HeldGrant(EVERYTHING, 5_000),)),
            "nothing was granted before 1970-01-01T00:00:05.000Z, which is after the record",
        ),
    ],
)
def test_what_is_not_granted_is_said_of_then_and_of_today(
    partner: Partner | None, why: str
) -> None:
    assert asked(partner=partner) == [Unmet(Condition.GRANT, why)]


def test_each_condition_is_named_where_several_are_unmet() -> None:
    changed = replace(HERS, environments=("staging",), pattern={"data": {"total": [13]}})
    found = asked(changed, disabled=Disabled("s1", 500, "gone"))
    assert [each.condition for each in found] == [
        Condition.ENVIRONMENT,
        Condition.ACTIVE,
        Condition.FILTER,
    ]


def test_a_disabled_endpoint_is_named_with_its_instant() -> None:
    assert asked(disabled=Disabled("s1", 500, "gone")) == [
        Unmet(Condition.ACTIVE, "it is disabled since 1970-01-01T00:00:00.500Z")
    ]


def test_a_filter_that_cannot_be_evaluated_is_no_reason_for_silence() -> None:
    """Such a delivery is dead-lettered, so it counts as matched; the explanation says why."""
    refused = Refused(RefusalReason.VERSION_NOT_RESOLVABLE, "v1 has no default for pages")
    directory = Directory()
    directory.put_partner(ACME)
    filtered = replace(HERS, pattern={"data": {"total": [12]}})
    directory.put_subscription(filtered)
    question = Question(PRICED, "live", 1_000, lambda _: refused, 1)
    [found] = unmet(directory, filtered, None, question)
    assert found == Unmet(
        Condition.FILTER,
        "it cannot be evaluated: version_not_resolvable: v1 has no default for pages",
    )


def test_a_subscription_that_cannot_be_read_is_said_to_wait() -> None:
    unread = UnreadableSubscription("s1", "acme", (PRICED,), 100, (), "no key k2")
    directory = Directory()
    directory.put_partner(ACME)
    directory.put_subscription(unread)
    question = Question(PRICED, "live", 1_000, lambda _: BODY, 1)
    assert unmet(directory, unread, None, question) == [
        Unmet(Condition.SUBSCRIPTION, "its row cannot be read, so its deliveries wait: no key k2")
    ]


def shown(partner: Partner | None, *versions: int) -> bool:
    """Return whether the event, whose total is 12 in version 2 alone, is shown to a partner."""
    directory = Directory()
    if partner is not None:
        directory.put_partner(partner)
    question = Question(
        PRICED, "live", 1_000, lambda version: BODY if version == 2 else {"data": {}}, 2
    )
    pinned = [replace(HERS, id=f"s{each}", versions={PRICED: each}) for each in versions]
    return is_shown_to(directory, "acme", pinned, question)


def granted(*grants: tuple[Grant, int]) -> Partner:
    history = tuple(HeldGrant(grant, since) for grant, since in grants)
    return replace(ACME, grant=history[-1].grant, history=history)


TOTAL = Grant(("*",), ("*",), {"data": {"total": [12]}})


@pytest.mark.parametrize(
    ("partner", "versions", "is_shown"),
    [
        (ACME, (1, 2), True),
        (ACME, (), True),
        (None, (2,), False),
        (granted((ORDERS, 0)), (2,), False),
        (granted((EVERYTHING, 0), (ORDERS, 2_000)), (2,), False),
        (granted((ORDERS, 0), (EVERYTHING, 2_000)), (2,), False),
        (granted((EVERYTHING, 2_000)), (2,), False),
        (granted((Grant(("*",), ("staging",)), 0)), (2,), False),
        (granted((TOTAL, 0)), (2,), True),
        (granted((TOTAL, 0)), (1, 2), False),
        (granted((TOTAL, 0)), (), True),
    ],
)
def test_a_partner_learns_of_events_that_the_grants_of_then_and_of_today_cover(
    partner: Partner | None, versions: tuple[int, ...], *, is_shown: bool
) -> None:
    assert shown(partner, *versions) is is_shown
