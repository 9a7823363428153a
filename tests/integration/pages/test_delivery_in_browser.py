"""The page of a delivery in a real browser: it keeps up, shows what is hostile as text, and acts without scripts."""

from dataclasses import replace

import pytest
from playwright.async_api import Browser
from tests.browsers import a_kept_look, a_look
from tests.doubles.clock import NOON
from tests.integration.pages.conftest import ServedPages
from tests.unit.entry.pages.test_delivery import DELIVERED, FAILED, PAGE, put

from hookstream.core.access.scopes import Scope

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.timeout(300)]

HOSTILE = "<img src=x onerror=alert(1)>\u202e\x1b[2J</pre><script>alert(2)</script>"


async def test_a_delivery_that_waits_is_seen_to_complete_without_loading_the_page_again(
    served: ServedPages, chromium: Browser
) -> None:
    async with a_kept_look(chromium, served.url) as look:
        await served.let_in(look, Scope.ADMIN)
        await look.open(PAGE)
        now = look.page.locator("ol.timeline > li[aria-current=step]")
        assert await now.count() == 1
        await look.page.evaluate("document.body.dataset.seen = 'before'")
        put(served.world, FAILED, DELIVERED)
        await look.page.locator("ol.timeline").get_by_text("Completed").wait_for()
        assert await now.count() == 0
        assert await look.page.evaluate("document.body.dataset.seen") == "before"
        assert look.complaints == []


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
async def test_an_answer_that_is_markup_is_read_and_never_obeyed(
    served: ServedPages, chromium: Browser, *, scripts: bool
) -> None:
    hostile = replace(
        FAILED, response_excerpt=HOSTILE, error=HOSTILE, worker=HOSTILE, event_id=HOSTILE
    )
    put(served.world, hostile)
    async with a_look(chromium, served.url, scripts=scripts) as look:
        look.page.on("dialog", lambda dialog: look.complaints.append(dialog.message))
        await served.let_in(look, Scope.ADMIN)
        await look.open(PAGE)
        answer = await look.page.locator("ol.timeline pre").inner_text()
        assert answer == (
            r"<img src=x onerror=alert(1)>\u202e\x1b[2J</pre><script>alert(2)</script>"
        )
        assert await look.page.locator("main img, main script").count() == 0
        assert look.complaints == []


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
async def test_a_partner_sends_its_delivery_again_by_keyboard(
    served: ServedPages, chromium: Browser, *, scripts: bool
) -> None:
    put(served.world, FAILED, DELIVERED)
    async with a_kept_look(chromium, served.url, scripts=scripts) as look:
        await served.let_in(look, Scope.PARTNER_MANAGE)
        await look.open(PAGE)
        await look.page.get_by_label("Reason").focus()
        await look.page.keyboard.type("they lost it")
        await look.page.keyboard.press("Enter")
        said = look.page.get_by_role("status")
        assert await said.inner_text() == "It is sent again, in a run of its own: resend-1."
        assert look.path == f"{PAGE}?run=resend-1"
        job = served.world.api.services.job("resend-1")
        assert job is not None
        assert job.asked["reason"] == "they lost it"
        assert look.complaints == []


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 360)])
async def test_a_whole_life_is_in_nobodys_way(
    served: ServedPages, chromium: Browser, scheme: str, width: int
) -> None:
    put(served.world, FAILED, replace(DELIVERED, started_at=NOON - 5_000, worker="w" * 200))
    async with a_kept_look(chromium, served.url, scheme=scheme, width=width) as look:  # type: ignore[arg-type]
        await served.let_in(look, Scope.ADMIN)
        await look.open(PAGE)
        await look.page.get_by_text("The same from a terminal").click()
        assert await look.barriers() == []
        wide = await look.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width
        assert look.complaints == []
