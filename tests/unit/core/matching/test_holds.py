"""What a hold stops, and what it does not change."""

import pytest

from hookstream.core.matching.holds import Holds
from hookstream.core.model.hold import ALL, Hold, HoldKind
from hookstream.core.model.subscription import Disabled, Endpoint, Grant, Partner, Subscription
from hookstream.core.model.subscription_status import (
    Absent,
    Deleted,
    DisabledStatus,
    Held,
    Live,
    Paused,
    SubscriptionStatus,
)

CRM = Subscription("crm", "acme", Endpoint("https://acme.example", ()), ("*",), 0)
ACME = Partner("acme", "Acme", Grant(("*",), ("*",)))
LIVE = Live(CRM, ACME)
PRICED = "pricing.completed"


def hold(kind: HoldKind, name: str = ALL) -> Hold:
    return Hold(kind, name, 100, "their proxy loops")


def holding(*holds: Hold) -> Holds:
    found = Holds()
    for each in holds:
        found.put(each)
    return found


@pytest.mark.parametrize(
    "on",
    [
        hold(HoldKind.EVERYTHING),
        hold(HoldKind.PARTNER, "acme"),
        hold(HoldKind.ENDPOINT, "crm"),
        hold(HoldKind.EVENT_TYPE, PRICED),
    ],
)
def test_each_kind_of_hold_stops_what_it_names(on: Hold) -> None:
    assert holding(on).over(LIVE, PRICED) == Held(CRM, ACME, on)


@pytest.mark.parametrize(
    "on",
    [
        hold(HoldKind.PARTNER, "crm"),
        hold(HoldKind.ENDPOINT, "acme"),
        hold(HoldKind.ENDPOINT, "cr"),
        hold(HoldKind.EVENT_TYPE, "pricing"),
        hold(HoldKind.EVENT_TYPE, "crm"),
    ],
)
def test_a_hold_stops_nothing_else(on: Hold) -> None:
    assert holding(on).over(LIVE, PRICED) is LIVE


def test_a_subscription_as_a_whole_is_not_held_by_a_hold_on_one_type() -> None:
    assert holding(hold(HoldKind.EVENT_TYPE, PRICED)).over(LIVE) is LIVE


@pytest.mark.parametrize(
    "status",
    [
        Paused(CRM, ACME, 50),
        DisabledStatus(CRM, ACME, Disabled("crm", 50, "gone")),
        Deleted("crm", "acme"),
        Absent(),
    ],
)
def test_a_hold_does_not_change_the_status_of_what_is_not_attempted_anyway(
    status: SubscriptionStatus,
) -> None:
    assert holding(hold(HoldKind.EVERYTHING)).over(status, PRICED) is status


def test_a_hold_ends_when_the_last_that_stops_it_is_cleared() -> None:
    found = holding(hold(HoldKind.PARTNER, "acme"), hold(HoldKind.ENDPOINT, "crm"))
    assert found.drop(HoldKind.PARTNER, "acme")
    assert (found.any, isinstance(found.over(LIVE, PRICED), Held)) == (True, True)

    assert found.drop(HoldKind.ENDPOINT, "crm")

    assert (found.any, len(found), found.over(LIVE, PRICED)) == (False, 0, LIVE)


def test_clearing_what_is_not_held_changes_nothing() -> None:
    found = holding(hold(HoldKind.ENDPOINT, "crm"))
    assert not found.drop(HoldKind.ENDPOINT, "orders")
    assert (found.any, len(found)) == (True, 1)
