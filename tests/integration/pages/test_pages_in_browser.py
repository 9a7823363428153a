"""Every page in a real browser: for operators and partners, with scripts and without them."""

import pytest
from playwright.async_api import Browser
from tests.browsers import Scheme, a_look
from tests.integration.pages.conftest import ServedPages
from tests.unit.entry.pages.expectations import EXPECTATIONS

from hookstream.core.access.scopes import IMPLIED, Scope
from hookstream.entry.pages.page import ConsolePage
from hookstream.entry.pages.table import PAGES

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

_LEADS_ON = 303
SHOWN = [
    pytest.param(page, id=page.name)
    for page in PAGES.pages
    if page.method == "GET" and page.scope is not None and not EXPECTATIONS[page.name].is_file
]


SEEN = [
    pytest.param(each.values[0], scope, id=f"{each.id}, {scope}")
    for each in SHOWN
    for scope in (Scope.ADMIN, Scope.PARTNER_MANAGE)
    if each.values[0].scope in IMPLIED[scope]  # type: ignore[union-attr]  # A page
]
"""Each page with those who may see it."""


@pytest.mark.parametrize(("page", "scope"), SEEN)
@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
async def test_a_browser_shows_a_page_without_a_complaint(
    served: ServedPages, chromium: Browser, page: ConsolePage, scope: Scope, *, scripts: bool
) -> None:
    expected = EXPECTATIONS[page.name]
    async with a_look(chromium, served.url, scripts=scripts) as look:
        await look.log_in(served.world.api.tokens[scope])
        status = await look.open(expected.path(page.path))
        if expected.status == _LEADS_ON:
            assert (status, expected.says in look.path) == (200, True)
        else:
            assert status == expected.status
            assert expected.says in await look.page.locator("main").inner_text()
        assert look.complaints == []


@pytest.mark.parametrize("page", SHOWN)
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 360)])
async def test_nothing_serious_is_in_the_way_of_anybody(
    served: ServedPages, chromium: Browser, page: ConsolePage, scheme: Scheme, width: int
) -> None:
    """In the colours of each scheme, and on a narrow screen, which nothing makes wider."""
    async with a_look(chromium, served.url, scheme=scheme, width=width) as look:
        await look.log_in(served.world.api.tokens[Scope.ADMIN])
        await look.open(EXPECTATIONS[page.name].path(page.path))
        assert await look.barriers() == []
        wide = await look.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width
        assert look.complaints == []


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
async def test_a_person_logs_in_where_a_page_asks_for_it_and_out_again(
    served: ServedPages, chromium: Browser, *, scripts: bool
) -> None:
    async with a_look(chromium, served.url, scripts=scripts) as look:
        await look.open("/ui/subscriptions?partner=acme")
        assert await look.page.title() == "Log in · hookstream"
        if scripts:
            assert await look.barriers() == []
        await look.page.fill("#token", "hs_adm_" + "A" * 43)
        await look.page.keyboard.press("Enter")
        refused = look.page.get_by_role("alert")
        assert "unknown, expired or revoked" in await refused.inner_text()
        look.complaints.clear()  # The browser says that the answer was 401.
        await look.page.fill("#token", served.world.api.tokens[Scope.ADMIN])
        await look.page.keyboard.press("Enter")
        await look.page.wait_for_url("**/ui/subscriptions?partner=acme")
        await look.page.get_by_role("button", name="Log out").click()
        await look.page.wait_for_url("**/ui/login")
        await look.open("/ui/overview")
        assert look.path == "/ui/login?to=%2Fui%2Foverview"
        assert look.complaints == []


async def test_the_first_key_leads_past_the_navigation(
    served: ServedPages, chromium: Browser
) -> None:
    async with a_look(chromium, served.url) as look:
        await look.log_in(served.world.api.tokens[Scope.ADMIN])
        await look.open("/ui/subscriptions")
        await look.page.keyboard.press("Tab")
        await look.page.keyboard.press("Enter")
        focused = await look.page.evaluate("document.activeElement.id")
        assert (focused, look.path) == ("content", "/ui/subscriptions")
