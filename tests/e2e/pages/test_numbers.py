"""The overview and the retries of a real console: what happened is in the numbers, and a bar leads to what it has."""

import time

import pytest
from playwright.async_api import Browser
from tests.browsers import Look, a_kept_look
from tests.e2e.consoles import DEADLINE
from tests.e2e.pages.people import let_in
from tests.e2e.platform import EVENTS, Platform

pytestmark = [pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="package")]


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
@pytest.mark.parametrize("whose", ["operator", "partner"])
async def test_the_overview_has_what_happened_and_what_needs_a_look(
    platform: Platform, chromium: Browser, whose: str, *, scripts: bool
) -> None:
    by_operator = whose == "operator"
    async with a_kept_look(chromium, platform.console.url, scripts=scripts) as look:
        await let_in(look, platform, platform.token if by_operator else platform.partner)
        await look.open("/ui/overview")
        for label in ("Delivered", "Dead-lettered", "Waiting now"):
            await reaches(look, label)
        # To two endpoints for each event; to the third until its breaker opened.
        assert int(await look.figure("Attempts")) > 2 * EVENTS
        main = await look.says()
        for failing in ("waiting", "refused"):
            assert await look.page.get_by_role("link", name=failing, exact=True).count() == 1
        assert ("the morning's incident" in main) == by_operator
        assert ("rival" in main) is False or by_operator
        bars = look.page.locator("svg.chart path.bar")
        assert await bars.count() >= 4
        await look.picture(f"overview-{whose}")
        assert look.complaints == []


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
@pytest.mark.parametrize("whose", ["operator", "partner"])
async def test_a_bar_of_what_falls_due_leads_to_its_deliveries_by_the_keyboard_too(
    platform: Platform, chromium: Browser, whose: str, *, scripts: bool
) -> None:
    token = platform.token if whose == "operator" else platform.partner
    async with a_kept_look(chromium, platform.console.url, scripts=scripts) as look:
        await let_in(look, platform, token)
        await look.open("/ui/overview")
        await look.press(look.page.get_by_role("link", name="Retries"))
        await reaches(look, "Waiting")
        await look.open("/ui/retries?hours=6&subscription=waiting")
        if scripts:
            assert await look.barriers() == []
        await look.picture(f"retries-{whose}")
        deadline = time.monotonic() + DEADLINE
        # What was settled within the last seconds is still counted, and in no list any more.
        while (counted := await followed(look)) != await look.page.locator("tbody tr").count():
            assert time.monotonic() < deadline, counted
            await look.open("/ui/retries?hours=6&subscription=waiting")
        assert counted > 0
        assert "subscription=waiting" in look.path
        rows = look.page.locator("tbody tr")
        assert await rows.filter(has_text="waiting").count() == counted
        assert look.complaints == []


async def reaches(look: Look, label: str) -> None:
    """Look again until a figure counts all events: those that are being attempted do not wait."""
    deadline = time.monotonic() + DEADLINE
    while int(found := await look.figure(label)) < EVENTS:
        assert time.monotonic() < deadline, (label, found)
        await look.open_again(look.path)


async def followed(look: Look) -> int:
    """Follow the last bar by the keyboard; return how many deliveries it said that it has."""
    bar = look.page.locator("svg.chart a").last
    said = await bar.get_attribute("aria-label") or ""
    await bar.focus()
    await look.page.keyboard.press("Enter")
    await look.page.wait_for_url("**/ui/retries/waiting?due_from=*")
    return int(said.rpartition(" ")[2])


async def test_what_is_anothers_is_absent_from_the_numbers_of_a_partner(
    platform: Platform, chromium: Browser
) -> None:
    async with a_kept_look(chromium, platform.console.url) as look:
        await let_in(look, platform, platform.partner)
        for path in ("overview", "retries", "retries/waiting"):
            assert await look.open(f"/ui/{path}?subscription=theirs") == 404
            assert await look.open(f"/ui/{path}?partner=rival") == 403
