"""What the script does: it keeps parts of a page current, while somebody looks, and takes nothing out of their hands."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, Route, expect
from tests.browsers import Look, a_look
from tests.doubles.api_records import subscription
from tests.integration.pages.conftest import ServedPages

from hookstream.core.access.scopes import Scope

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.timeout(300)]

EVERY = 5_000
"""Milliseconds between two requests for a part."""
HIDE = """hidden => {
  Object.defineProperty(document, "hidden", {configurable: true, get: () => hidden});
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@asynccontextmanager
async def watched(
    served: ServedPages, chromium: Browser, partner: str
) -> AsyncIterator[tuple[Look, list[int]]]:
    """Look at a partner's subscriptions on a clock of the test's; yield the statuses of parts, too."""
    statuses: list[int] = []
    async with a_look(chromium, served.url) as look:
        await served.let_in(look, Scope.ADMIN)
        await look.page.clock.install()
        look.page.on(
            "response",
            lambda answer: statuses.append(answer.status) if "live=" in answer.url else None,
        )
        await look.open(f"/ui/subscriptions?partner={partner}")
        yield look, statuses


async def turn(look: Look) -> None:
    """Let the time between two requests pass, and the answer come."""
    async with look.page.expect_response(lambda answer: "live=" in answer.url):
        await look.page.clock.run_for(EVERY)


async def idle(look: Look) -> None:
    """Let the time of several requests pass, and whatever was asked be answered."""
    for _ in range(3):
        await look.page.clock.run_for(EVERY)
        await look.page.evaluate("() => fetch('/ui/static/icon.svg').then(icon => icon.text())")


async def test_a_part_changes_by_itself_and_is_not_sent_again_while_it_is_the_same(
    served: ServedPages, chromium: Browser
) -> None:
    async with watched(served, chromium, "lonely") as (look, statuses):
        assert await look.page.get_by_text("There is no subscription").count() == 1
        for _ in range(3):
            await turn(look)
        assert statuses == [200, 304, 304]
        served.world.api.add(subscription("newcomer", "lonely"))
        await turn(look)
        await expect(look.page.get_by_text("newcomer")).to_be_visible()
        assert look.complaints == []


async def test_nothing_is_asked_while_nobody_looks(served: ServedPages, chromium: Browser) -> None:
    async with watched(served, chromium, "rival") as (look, statuses):
        await turn(look)
        await look.page.evaluate(HIDE, arg=True)
        await idle(look)
        assert statuses == [200]
        async with look.page.expect_response(lambda answer: "live=" in answer.url):
            await look.page.evaluate(HIDE, arg=False)


async def test_what_somebody_has_marked_is_not_replaced(
    served: ServedPages, chromium: Browser
) -> None:
    async with watched(served, chromium, "acme") as (look, statuses):
        await turn(look)
        cell = look.page.get_by_role("row", name="crm").get_by_text("pricing.completed")
        await cell.evaluate("each => getSelection().selectAllChildren(each)")
        served.world.api.add(subscription("another"))
        await idle(look)
        assert statuses == [200]
        assert await look.page.evaluate("getSelection().toString()") == "pricing.completed"
        await look.page.evaluate("getSelection().removeAllRanges()")
        await turn(look)
        await expect(look.page.get_by_text("another")).to_be_visible()


async def test_a_part_says_that_it_is_not_current_while_the_console_does_not_answer(
    served: ServedPages, chromium: Browser
) -> None:
    async with watched(served, chromium, "acme") as (look, _):
        part = look.page.locator("section[data-live]")
        await turn(look)

        async def refuse(route: Route) -> None:
            await route.fulfill(status=503)

        await look.page.route("**live=*", refuse)
        await turn(look)
        await expect(part).to_have_class("stale")
        await look.page.unroute("**live=*")
        await look.page.clock.run_for(EVERY)
        async with look.page.expect_response(lambda answer: "live=" in answer.url):
            await look.page.clock.run_for(EVERY)
        await expect(part).to_have_class("")


async def test_a_page_whose_session_is_over_leads_to_the_login(
    served: ServedPages, chromium: Browser
) -> None:
    async with watched(served, chromium, "acme") as (look, _):
        await look.page.context.clear_cookies()
        await look.page.clock.run_for(EVERY)
        await look.page.wait_for_url("**/ui/login?to=*")
        assert look.path == "/ui/login?to=%2Fui%2Fsubscriptions%3Fpartner%3Dacme"


async def test_times_go_on_between_two_answers(served: ServedPages, chromium: Browser) -> None:
    async with watched(served, chromium, "acme") as (look, _):
        time = look.page.get_by_role("row", name="crm").locator("time")
        assert await time.inner_text() == "24 h ago"
        await look.page.clock.run_for(2_000)
        assert await time.inner_text() == "24 h ago"
        await look.page.clock.run_for(3_600_000)
        assert await time.inner_text() == "25 h ago"
