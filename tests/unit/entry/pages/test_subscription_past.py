"""Trying an event on a subscription, and the way to a replay of its events since a time."""

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.doubles.api_records import SAMPLE
from tests.doubles.clock import NOON
from tests.doubles.pages import PagesWorld, logged_in

from hookstream.adapters.tables.rows import disabled_row
from hookstream.core.access.scopes import Scope
from hookstream.core.model.subscription import Disabled, Subscription

TRY = "/ui/subscriptions/crm/try"
RECOVER = "/ui/subscriptions/crm/recover"


def with_pattern(world: PagesWorld, pattern: dict[str, Any]) -> None:
    found = world.api.services.state().current.subscriptions["crm"]
    assert isinstance(found, Subscription)
    world.api.add(replace(found, pattern=pattern))


@pytest.mark.parametrize("scope", [Scope.OPERATOR_READ, Scope.PARTNER_READ])
async def test_a_sample_is_filled_in_and_would_be_delivered(
    world: PagesWorld, scope: Scope
) -> None:
    browser = await logged_in(world, world.api.tokens[scope])
    form = (await browser.get(TRY)).form(TRY)
    assert json.loads(form.fields["event"])["type"] == "pricing.completed"
    before = world.api.tables.offset
    tried = await browser.submit(form)
    assert "It would get this pricing.completed, in version 1." in tried.text
    assert json.loads(tried.form(TRY).fields["event"]) == json.loads(form.fields["event"])
    assert world.api.tables.offset == before


async def test_each_condition_that_says_no_is_named_with_its_clause(world: PagesWorld) -> None:
    with_pattern(world, {"data": {"currency": ["USD"]}})
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_READ])
    form = (await browser.get(TRY)).form(TRY)
    tried = await browser.submit(form, event=json.dumps({**SAMPLE, "environment": "staging"}))
    assert "It would not get this pricing.completed" in tried.text
    assert "Grant today's grant does not cover environment staging" in tried.text
    assert "Filter data.currency" in tried.text


async def test_a_paused_one_says_so_of_an_event_of_now(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_READ])
    path = "/ui/subscriptions/paused/try"
    tried = await browser.submit((await browser.get(path)).form(path))
    assert "Active it is paused since" in tried.text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not"),
        ("{", "JSON"),
        ("[1]", "not a JSON object"),
        (json.dumps({**SAMPLE, "data": {}}), "data.quote_id"),
        (json.dumps({**SAMPLE, "more": 1}), "there is no such field"),
    ],
)
async def test_what_is_no_event_is_refused_and_stays_as_it_was_typed(
    world: PagesWorld, text: str, says: str
) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_READ])
    form = (await browser.get(TRY)).form(TRY)
    refused = await browser.submit(form, event=text)
    assert (refused.status, says in refused.text) == (422, True), refused.text
    assert refused.form(TRY).fields["event"] == text


async def test_a_type_that_is_not_granted_is_refused_as_one_that_there_is_not(
    world: PagesWorld,
) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_READ])
    form = (await browser.get(TRY)).form(TRY)
    seen = set()
    for name in ("quote.requested", "no.such"):
        event = json.dumps({**SAMPLE, "type": name})
        refused = await browser.submit(form, event=event)
        assert refused.status == 422
        seen.add(refused.text.partition("Try it")[0].replace(name, "X").partition("Request")[0])
    assert len(seen) == 1


async def test_recovering_leads_to_the_replay_of_that_subscription(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_MANAGE])
    shown = await browser.follow(await browser.get(RECOVER))
    assert "To crm active" in shown.text
    (first, *_) = [each["href"] for each in shown.attributes("a") if "since=" in each["href"]]
    assert "Delivers 43 events" in (await browser.get(first)).text
    times = "since=2026-11-24T00%3A00%3A00Z&until=2026-11-24T11%3A00%3A00Z"
    moved = await browser.get(f"{RECOVER}?{times}")
    assert moved.headers["Location"] == f"/ui/replays/new?subscription=crm&{times}"


async def test_a_disabled_one_is_enabled_first(world: PagesWorld) -> None:
    health = world.api.settings.topics_names.health
    world.api.tables.put(health, *disabled_row(Disabled("crm", NOON, "gone")))
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_MANAGE])
    shown = await browser.follow(await browser.get(RECOVER))
    assert "enable it first, which replays what it missed" in shown.text
