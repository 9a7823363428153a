"""What the page of explanations asks, and what it says to whom."""

import pytest
from tests.doubles.pages import PagesWorld, logged_in

from hookstream.core.access.scopes import Scope

EXPLAIN = "/ui/explain"


async def test_without_an_event_nothing_is_searched(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_READ])
    shown = await browser.get(EXPLAIN)
    assert (shown.status, "From a terminal" in shown.text) == (200, False)
    assert "event.explained" not in [act for act, _, _ in world.api.services.uses]


async def test_an_operator_sees_each_subscription_with_what_does_not_hold(
    world: PagesWorld,
) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_READ])
    shown = await browser.submit((await browser.get(EXPLAIN)).form(EXPLAIN), event="e-1")
    for text in (
        "filter: data.total is 5",
        "Waits: held, since 2026-11-24 12:00:00 UTC, due in 5 min, at hush-tier/0@5.",
        "Changed since the event: paused 2026-11-24 12:01:00 UTC (revision 3, by hush).",
        "A record that is not an event",
        "2 more subscriptions ask for its type",
        "Recordhush/3@40, read from hush-tier/0@4",
        "theirs of rival",
        "hush: no trace",
        "Not searchedhush-topic before then",
        "hookstream explain e-1",
    ):
        assert text in shown.text
    assert ("event.explained", "e-1") in [(act, of) for act, _, of in world.api.services.uses]


@pytest.mark.parametrize("scope", [Scope.PARTNER_READ, Scope.PARTNER_MANAGE])
async def test_a_partner_sees_its_own_and_nothing_of_ours(world: PagesWorld, scope: Scope) -> None:
    browser = await logged_in(world, world.api.tokens[scope])
    shown = await browser.get(f"{EXPLAIN}?event=e-1")
    assert "nothing is recorded for it yet" in shown.text
    for text in ("hush", "theirs", "rival", "A record that is not an event"):
        assert text not in shown.html
    foreign = await browser.get(f"{EXPLAIN}?event=e-1&subscription=theirs")
    absent = await browser.get(f"{EXPLAIN}?event=e-1&subscription=no-such-thing")
    assert (foreign.status, foreign.text) == (404, absent.text)


async def test_an_operator_names_a_record_by_its_place_and_a_partner_does_not(
    world: PagesWorld,
) -> None:
    operator = await logged_in(world, world.api.tokens[Scope.OPERATOR_READ])
    shown = await operator.get(f"{EXPLAIN}?event=orders/0@42")
    assert (shown.status, "data.total is 5" in shown.text) == (200, True)
    assert (await operator.get(f"{EXPLAIN}?event=orders/x@42")).status == 422
    partner = await logged_in(world, world.api.tokens[Scope.PARTNER_READ])
    absent = await partner.get(f"{EXPLAIN}?event=orders/0@42")
    assert "The search did not find orders/0@42, or it is not granted" in absent.text


async def test_a_time_that_is_none_is_refused_with_its_field(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_READ])
    refused = await browser.get(f"{EXPLAIN}?event=e-1&since=yesterday")
    assert (refused.status, "since" in refused.text) == (422, True)
