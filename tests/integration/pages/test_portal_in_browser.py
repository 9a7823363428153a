"""A portal link in a real browser: a person presses one button, with scripts and without them."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser
from tests.browsers import Scheme, a_kept_look
from tests.integration.pages.conftest import ServedPages

from hookstream.core.access.scopes import Scope

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.timeout(300)]


@pytest_asyncio.fixture(loop_scope="package")
async def link(served: ServedPages) -> AsyncIterator[str]:
    """The path of a link for partner acme, which is used or revoked afterwards."""
    made = await served.world.api.send("POST", "/v1/partners/acme/portal-links", {})
    yield made.json["url"]
    await served.world.api.send(
        "POST", f"/v1/partners/acme/portal-links/{made.json['link']['id']}/revoke"
    )


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
async def test_a_person_opens_the_pages_with_one_press_and_sees_its_own_things_alone(
    served: ServedPages, chromium: Browser, link: str, *, scripts: bool
) -> None:
    async with a_kept_look(chromium, served.url, scripts=scripts) as look:
        assert await look.open(link) == 200
        await look.page.get_by_role("button", name="Open").click()
        await look.page.wait_for_url("**/ui/overview")
        await look.open("/ui/subscriptions")
        shown = await look.page.locator("body").inner_text()
        assert ("crm" in shown, "theirs" in shown) == (True, False)
        await look.page.get_by_role("button", name="Log out").click()
        await look.page.wait_for_url("**/ui/login")
        assert look.complaints == []
        assert await look.open(link) == 410
        assert "was already used" in await look.page.get_by_role("alert").inner_text()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 360)])
async def test_nothing_serious_is_in_the_way_of_whoever_opens_a_link(
    served: ServedPages, chromium: Browser, link: str, scheme: Scheme, width: int
) -> None:
    async with a_kept_look(chromium, served.url, scheme=scheme, width=width) as look:
        for path in (link, "/ui/portal/nothing"):
            await look.open(path)
            assert await look.barriers() == []
            assert await look.page.evaluate("document.documentElement.scrollWidth") <= width
        await look.open(link)
        # The one thing to do is the first that a key reaches after the way past the head.
        await look.page.locator("main button").focus()
        await look.page.keyboard.press("Enter")
        await look.page.wait_for_url("**/ui/overview")


async def test_a_cookie_of_a_session_is_kept_by_a_real_browser_and_no_script_reads_it(
    served: ServedPages, chromium: Browser
) -> None:
    async with a_kept_look(chromium, served.url) as look:
        await look.log_in(served.world.api.tokens[Scope.ADMIN])
        [cookie] = [
            each
            for each in await look.page.context.cookies()
            if each.get("name") == "__Host-hookstream"
        ]
        assert str(cookie.get("value")).startswith("hs_ses_")
        assert (cookie.get("httpOnly"), cookie.get("secure")) == (True, True)
        assert (cookie.get("sameSite"), cookie.get("path")) == ("Lax", "/")
        assert await look.page.evaluate("document.cookie") == ""
