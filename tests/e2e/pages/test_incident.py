"""One incident on the pages, from its first failure to the last delivery: what docs/console.md walks through."""

import math
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, expect
from tests.browsers import NOT_CURRENT, PATIENCE, Look, a_look
from tests.conftest import ROOT, Broker
from tests.e2e.consoles import DEADLINE, Console, Endpoint
from tests.e2e.platform import Platform
from tests.e2e.world import a_world

pytestmark = [pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="package")]

PAGE = ROOT / "docs" / "console.md"
FAILING = "north-prices"
BEFORE = 15
"""Events before the incident."""
DURING = 24
"""Events during it, after the first that is given up."""


@pytest_asyncio.fixture(loop_scope="package")
async def shops(broker: Broker, prefix: str, tmp_path: Path) -> AsyncIterator[Platform]:
    """Partners `acme` and `north`, three endpoints that take everything, and some events delivered to each."""
    async with a_world(tmp_path, broker.bootstrap_servers, prefix) as world:
        world.stage.environ["HOOKSTREAM_CONSOLE__NAME"] = "staging"
        made = Platform(world, Endpoint(), {"first": Console(world, "first", tmp_path / "index")})
        try:
            await made.start()
            for name in ("acme", "north"):
                grant = {"event_types": ["*"], "environments": ["*"]}
                await made.made("/v1/partners", {"id": name, "name": name, "grant": grant})
            await made.subscribe("acme-prices")
            await made.subscribe("north-archive", partner="north")
            await made.subscribe(FAILING, partner="north", retry={"schedule": ["1s", "2s"]})
            await made.publish(BEFORE)
            yield made
        finally:
            await made.end()


class Walk:
    """An operator who goes from page to page, and takes pictures that docs show."""

    def __init__(self, look: Look) -> None:
        self.look = look
        self.page = look.page
        self.taken: list[str] = []

    async def picture(
        self, name: str, *, top: Locator | None = None, height: float = math.inf
    ) -> None:
        """Take a picture; `top`: what it begins with, `height`: its most pixels."""
        if top is not None:
            await top.evaluate("each => each.scrollIntoView({behavior: 'instant'})")
        await self.look.picture(name, for_docs=True, height=height)
        self.taken.append(name)

    async def until_figures(self, path: str, wanted: dict[str, str]) -> None:
        """Load a page until its figures are as wanted, by their labels."""
        deadline = time.monotonic() + DEADLINE
        await self.look.open(path)
        while True:
            found = {label: await self.look.figure(label) for label in wanted}
            if found == wanted:
                return
            assert time.monotonic() < deadline, found
            await self.look.open_again(path)

    async def go(self, name: str) -> None:
        """Follow a link of the navigation."""
        navigation = self.page.get_by_role("navigation", name="Pages")
        await self.look.press(navigation.get_by_role("link", name=name, exact=True))
        await self.page.wait_for_url(f"**/ui/{name.lower().replace(' ', '-')}")

    async def steps(self) -> list[str]:
        """Return what the steps of a delivery are called, but for its waits, whose number is the worker's."""
        found = await self.page.locator("ol.timeline > li .what > p > b").all_inner_texts()
        return [each for each in found if each != "Waited"]


async def test_an_incident_is_seen_held_mended_and_made_good_on_the_pages(
    shops: Platform, chromium: Browser
) -> None:
    async with a_look(chromium, shops.console.url, width=1120, height=800) as look:
        walk = Walk(look)
        await look.log_in(shops.token)
        await walk.until_figures("/ui/overview", {"Delivered": str(3 * BEFORE), "Open": "0"})
        dead = await it_begins(shops, walk)
        await it_is_held(walk)
        await it_is_mended(shops, walk, dead)
        await what_was_given_up_is_redriven(walk)
        # A part of a page may ask a console that is not current, and asks again: the page says so meanwhile.
        not_current = f"status of {NOT_CURRENT}"
        assert [each for each in look.complaints if not_current not in each] == []
    shown = re.findall(r"\]\(pictures/([a-z-]+)\.png\)", PAGE.read_text(encoding="utf-8"))
    assert shown == walk.taken


async def it_begins(shops: Platform, walk: Walk) -> str:
    """Let an endpoint fail, and find it and one of its deliveries; return the delivery's id."""
    shops.endpoint.statuses = {f"/{FAILING}": 503}
    await shops.publish(1)
    await walk.until_figures("/ui/overview", {"Dead-lettered": "1"})
    await shops.publish(DURING)
    await walk.until_figures("/ui/overview", {"Delivered": str(3 * BEFORE + 2 * (1 + DURING))})
    await walk.picture("overview-failing")
    link = walk.page.get_by_role("link", name=FAILING, exact=True)
    await expect(walk.page.get_by_role("row").filter(has=link)).to_contain_text("503")
    await walk.look.press(link)
    await walk.page.wait_for_url(f"**subscription={FAILING}")
    assert int(await walk.look.figure("Waiting now")) > 0

    await walk.go("Deliveries")
    await walk.page.get_by_role("textbox", name="Subscription").fill(FAILING)
    await walk.page.get_by_label("State").select_option("dead-lettered")
    await walk.look.press(walk.page.get_by_role("button", name="Filter"))
    await walk.page.wait_for_url("**state=dead-lettered**")
    first = walk.page.locator("tbody tr").last.get_by_role("link", name="msg_")
    delivery = await first.inner_text()
    await walk.look.press(first)
    await walk.page.wait_for_url("**/ui/deliveries/msg_*")
    assert (await walk.steps())[-4:] == ["Attempt 1", "Attempt 2", "Attempt 3", "Dead-lettered"]
    top = walk.page.locator(".standing")
    await walk.picture("delivery-dead-lettered", top=top, height=645)
    return delivery


async def it_is_held(walk: Walk) -> None:
    """Hold the endpoint, so that nothing more is given up; see that its deliveries wait."""
    await walk.go("Holds")
    await walk.page.get_by_label("What").select_option("endpoint")
    await walk.page.get_by_label("Its id or name").fill(FAILING)
    await walk.look.press(walk.page.get_by_role("button", name="See what it stops"))
    await walk.page.wait_for_url("**/ui/holds/new?**")
    await walk.page.get_by_label("Reason").fill("503 since their release; they roll it back")
    await walk.page.get_by_text("The same from a terminal").click()
    await walk.picture("hold")
    await walk.look.press(walk.page.get_by_role("button", name="Hold", exact=True))
    await walk.page.get_by_role("status").wait_for()

    deadline = time.monotonic() + DEADLINE
    # Workers stop within two seconds; what has a slot says so when that is due.
    held = f"/ui/retries?hours=1&subscription={FAILING}"
    await walk.look.open(held)
    while True:
        why = await walk.page.locator("tbody .why").all_inner_texts()
        if why and all("held" in each and "breaker" not in each for each in why):
            break
        assert time.monotonic() < deadline, why
        await walk.look.open_again(held)
    assert int(await walk.look.figure("Waiting")) > 0
    await walk.picture("retries-held")


async def it_is_mended(shops: Platform, walk: Walk, dead: str) -> None:
    """Mend the endpoint, let go on what was held, and try what was given up with one delivery."""
    shops.endpoint.statuses = {}
    await walk.go("Holds")
    await walk.page.get_by_label("Reason").fill("they rolled it back")
    await walk.look.press(walk.page.get_by_role("button", name="Clear"))
    await walk.page.get_by_role("status").wait_for()
    await walk.until_figures(f"/ui/retries?subscription={FAILING}", {"Waiting": "0"})

    await walk.look.open(f"/ui/deliveries/{dead}")
    await walk.page.get_by_label("Reason").fill("a trial before the rest is redriven")
    await walk.look.press(walk.page.get_by_role("button", name="Send it again"))
    await walk.page.get_by_role("status").wait_for()
    steps = walk.page.locator("ol.timeline > li")
    await expect(steps.last).to_contain_text("Completed", timeout=PATIENCE)
    ended = steps.filter(has_text="Dead-lettered")
    await walk.picture("delivery-sent-again", top=ended, height=560)


async def what_was_given_up_is_redriven(walk: Walk) -> None:
    """Redrive the dead letters of the endpoint, follow the job, and see that nothing is left."""
    await walk.go("Dead letters")
    await walk.page.get_by_role("textbox", name="Subscription").fill(FAILING)
    await walk.look.press(walk.page.get_by_role("button", name="Filter"))
    await walk.page.wait_for_url("**subscription=**")
    await walk.look.press(walk.page.get_by_role("link", name="Redrive the filtered records"))
    await walk.page.wait_for_url("**/ui/dead-letters/redrive?**")
    await walk.picture("redrive")
    await walk.look.press(walk.page.get_by_role("button", name="Redrive", exact=True))
    await walk.page.wait_for_url("**/ui/jobs/redrive-*")
    await expect(walk.page.locator(".figure", has_text="State")).to_contain_text(
        "done", timeout=PATIENCE
    )
    # What could be done while it ran is gone from the page that shows that it is done.
    await expect(walk.page.get_by_role("button", name="Cancel")).to_have_count(0)
    mended = {"Dead-lettered": "0", "Open": "0", "Waiting now": "0", "Success rate": "100 %"}
    await walk.until_figures("/ui/overview", mended)
    await walk.picture("overview-green")
