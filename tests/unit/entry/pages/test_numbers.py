"""The pages with numbers: what the overview, the retries and the list of what waits show, and where they lead."""

from dataclasses import replace
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.doubles.clock import NOON
from tests.doubles.pages import Browser, PageReply, PagesWorld, logged_in

from hookstream.adapters.tables.holds_and_skips import hold_key, write_hold
from hookstream.core.access.scopes import Scope
from hookstream.core.audit.run_states import PendingRecord
from hookstream.core.model.hold import Hold, HoldKind
from hookstream.core.model.instant import HOUR, MINUTE
from hookstream.entry.pages.charts import MOST_SERIES

LONG = "hookstream.retry.1h"


def waiting_in(world: PagesWorld, *topics: str) -> None:
    """Let a run of each partner wait in each of these tiers."""
    index = world.api.services.memory_index
    runs: list[PendingRecord] = index.waiting[:]
    index.waiting[:] = [replace(run, topic=topic) for topic in topics for run in runs]


def links(reply: PageReply, path: str) -> list[str]:
    """Return the addresses below a path that a page leads to, also from within its charts."""
    found = [unescape(each["href"]) for each in reply.attributes("a")]
    return [each for each in found if urlsplit(each).path == path]


async def operator(world: PagesWorld) -> Browser:
    return await logged_in(world, world.api.tokens[Scope.OPERATOR_READ])


async def partner(world: PagesWorld) -> Browser:
    return await logged_in(world, world.api.tokens[Scope.PARTNER_READ])


async def test_a_bar_leads_to_the_deliveries_that_fall_due_in_it(world: PagesWorld) -> None:
    waiting_in(world, LONG)
    browser = await operator(world)
    shown = await browser.get("/ui/retries?hours=1&tier=1h&subscription=crm")
    bars = [each for each in links(shown, "/ui/retries/waiting") if "due_from" in each]
    # From the chart, and from the table with the same numbers.
    assert {each.partition("?")[0] for each in bars} == {"/ui/retries/waiting"}
    assert len(bars) == 2
    for bar in bars:
        assert parse_qs(urlsplit(bar).query) == {
            "due_from": ["2026-11-24T12:00:00.000Z"],
            "due_to": ["2026-11-24T12:01:00.000Z"],
            "tier": ["1h"],
            "subscription": ["crm"],
        }
    listed = await browser.get(bars[0])
    assert (listed.status, "msg_ours" in listed.text) == (200, True)
    asked = world.api.services.memory_index.asked
    assert (asked.due_from, asked.due_before, asked.tiers) == (
        NOON,
        NOON + MINUTE,
        frozenset({LONG}),
    )
    assert asked.subscriptions == frozenset({"crm"})


@pytest.mark.parametrize(("asked", "hours"), [("", 6), ("?hours=24", 24), ("?hours=5", 6)])
async def test_how_far_ahead_is_in_the_address_and_what_is_not_offered_is_the_usual(
    world: PagesWorld, asked: str, hours: int
) -> None:
    shown = await (await operator(world)).get(f"/ui/retries{asked}")
    assert f"Deliveries that fall due within {hours} h" in shown.text
    [current] = [
        each["href"] for each in shown.attributes("a") if each.get("aria-current") == "true"
    ]
    assert current.endswith(f"hours={hours}")


async def test_more_tiers_than_a_chart_has_series_are_shown_together(world: PagesWorld) -> None:
    tiers = [f"hookstream.retry.{number}m" for number in range(1, MOST_SERIES + 3)]
    waiting_in(world, *tiers)
    shown = await (await operator(world)).get("/ui/retries")
    legend = [
        attributes["class"]
        for tag, attributes in shown.parsed.tags
        if tag == "li" and attributes.get("class", "").startswith("series-")
    ]
    assert legend == [f"series-{number}" for number in range(1, MOST_SERIES + 1)]
    assert "others" in shown.text
    # Each of them has its row all the same.
    assert all(f"{number}m" in shown.text for number in range(1, MOST_SERIES + 3))


async def test_a_partner_reads_of_a_hold_only_that_its_deliveries_are_suspended(
    world: PagesWorld,
) -> None:
    waiting_in(world, LONG)
    hold = Hold(HoldKind.PARTNER, "acme", NOON, "hush-reason", "hush-who")
    topic = world.api.settings.topics_names.subscriptions
    world.api.tables.put(topic, hold_key(hold.kind, hold.name), write_hold(hold))
    browser = await partner(world)
    overview = await browser.get("/ui/overview")
    assert "is suspended" in overview.text
    retries = await browser.get("/ui/retries")
    waiting = await browser.get("/ui/retries/waiting?reason=suspended")
    assert "suspended 1" in retries.text
    assert world.api.services.memory_index.asked.reasons == frozenset({"held"})
    for page in (overview, retries, waiting):
        for word in ("hush", "Topic", "theirs", "rival", LONG):
            assert word not in page.html
    seen = await (await operator(world)).get("/ui/overview")
    assert "hush-reason" in seen.text


async def test_the_overview_narrows_to_a_subscription_and_keeps_its_window(
    world: PagesWorld,
) -> None:
    browser = await operator(world)
    shown = await browser.get("/ui/overview?window=24h")
    worst = [each for each in links(shown, "/ui/overview") if "subscription" in each]
    assert "/ui/overview?window=24h&subscription=crm" in worst
    narrowed = await browser.get("/ui/overview?window=24h&subscription=crm")
    # Holds and partitions are everybody's.
    assert "theirs" not in narrowed.text
    windows = [each for each in links(narrowed, "/ui/overview") if "window" in each]
    assert all("subscription=crm" in each for each in windows[:3])
    absent = await (await partner(world)).get("/ui/overview?subscription=theirs")
    assert absent.status == 404


async def test_what_needs_a_look_is_said_in_words_and_nothing_is_said_of_nothing(
    world: PagesWorld,
) -> None:
    topic = world.api.settings.topics_names.subscriptions
    for kind, name in ((HoldKind.ENDPOINT, "theirs"), (HoldKind.PARTNER, "acme")):
        world.api.tables.put(topic, hold_key(kind, name), None)
    browser = await operator(world)
    calm = await browser.get("/ui/overview")
    services = world.api.services
    services.stopped = replace(services.stopped, oldest=NOON - HOUR)
    stopped = await browser.get("/ui/overview")
    assert "has not been settled for 1h" in stopped.text
    assert "Needs a look" not in calm.text


async def test_charts_are_there_without_a_script_and_their_numbers_as_a_table(
    world: PagesWorld,
) -> None:
    shown = await (await operator(world)).get("/ui/overview")
    charts = [
        attributes for attributes in shown.attributes("svg") if attributes.get("class") == "chart"
    ]
    assert len(charts) == 5
    ids = [each["id"] for tag, each in shown.parsed.tags if tag in ("title", "desc") if each]
    for chart in charts:
        assert chart["role"] == "img"
        assert all(name in ids for name in chart["aria-labelledby"].split())
    assert len(ids) == len(set(ids))
    assert "These numbers as a table" in shown.text


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (1, "1 more subscription has waiting deliveries."),
        (1200, "1,200 more subscriptions have waiting deliveries."),
    ],
)
async def test_a_number_has_the_noun_that_fits_it(world: PagesWorld, more: int, said: str) -> None:
    index = world.api.services.memory_index
    pending = index.pending_summary
    index.pending_summary = lambda *asked, **named: replace(  # type: ignore[method-assign]
        pending(*asked, **named), more_subscriptions=more
    )
    shown = await (await operator(world)).get("/ui/retries")
    assert said in shown.text
