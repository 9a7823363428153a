"""Every button of a subscription's pages in a real browser: by an operator and its partner, with and without scripts."""

import pytest
from playwright.async_api import Browser
from tests.browsers import Look, a_kept_look
from tests.doubles.api_records import subscription
from tests.integration.pages.conftest import ServedPages

from hookstream.core.access.scopes import Scope

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.timeout(300)]


async def press(look: Look, name: str) -> str:
    """Press the button of a name, and return what the page then says."""
    await look.page.get_by_role("button", name=name, exact=True).click()
    await look.page.wait_for_load_state()
    return await look.page.locator("main").inner_text()


@pytest.mark.parametrize("scope", [Scope.OPERATOR_WRITE, Scope.PARTNER_MANAGE])
@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
async def test_each_button_of_a_subscription_does_what_it_says(
    served: ServedPages, chromium: Browser, scope: Scope, *, scripts: bool
) -> None:
    name = f"pressed-{scope.value.replace(':', '-')}-{scripts}".lower()
    served.world.api.add(subscription(name))
    page = f"/ui/subscriptions/{name}"
    async with a_kept_look(chromium, served.url, scripts=scripts) as look:
        await served.let_in(look, scope)

        await look.open(f"{page}/edit")
        await look.page.fill("[name=timeout]", "9s")
        assert "It was changed" in await press(look, "Change")
        assert look.path == page
        assert f"Test of {name}" in await press(look, "Send a test")
        await look.open(page)
        said = await press(look, "Rotate the signing secret")
        assert "only once" in said
        assert "whsec_" in said
        if scripts:
            assert await look.barriers() == []
        await look.open(page)
        assert "It is paused" in await press(look, "Pause")

        await look.page.get_by_role("link", name="Resume it").first.click()
        await look.page.get_by_label("Replay the events of the gap").uncheck()
        assert "It is active again" in await press(look, "Resume")

        await look.page.get_by_role("link", name="Try an event").click()
        assert "It would get this pricing.completed" in await press(look, "Try it")
        if scripts:
            assert await look.barriers() == []

        await look.open(f"{page}/recover")
        await look.page.fill("[name=since]", "2026-11-24T00:00:00Z")
        assert "Delivers 43 events of the past" in await press(look, "Count")
        await look.page.get_by_label("At most per second").fill("5")
        assert "live deliveries go first" in await press(look, "Replay")
        assert look.path.startswith("/ui/jobs/replay-")
        # A partner may have one at a time.
        assert "is cancelled" in await press(look, "Cancel")

        await look.open(page)
        assert f"{name} is deleted" in await press(look, "Delete")
        assert look.complaints == []


@pytest.mark.parametrize("scope", [Scope.OPERATOR_WRITE, Scope.PARTNER_MANAGE])
@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
async def test_a_subscription_is_created_from_the_list(
    served: ServedPages, chromium: Browser, scope: Scope, *, scripts: bool
) -> None:
    async with a_kept_look(chromium, served.url, scripts=scripts) as look:
        await served.let_in(look, scope)
        await look.open("/ui/subscriptions?partner=acme")
        await look.page.get_by_role("link", name="New subscription").click()
        await look.page.fill("[name=url]", "https://partner.example/in")
        await look.page.fill("[name=event_types]", "pricing.completed\norder.generated")
        await look.page.fill("[name=pattern]", '{"data": {')
        assert "it is not JSON" in await press(look, "Create")
        if scripts:
            assert await look.barriers() == []
        look.complaints.clear()  # The browser says that the answer was 422.
        await look.page.fill("[name=pattern]", "")
        await look.page.locator("summary", has_text="Retries").click()
        await look.page.fill("[name=schedule]", "soon")
        await press(look, "Create")
        # What is wrong is not folded away.
        assert "soon" in await look.page.locator("#wrong-schedule").inner_text()
        if scripts:
            assert await look.barriers() == []
        look.complaints.clear()
        await look.page.fill("[name=schedule]", "5s 5m")
        assert "only once" in await press(look, "Create")
        await look.page.get_by_role("link", name="To the subscription").click()
        await look.page.get_by_text("https://partner.example/").first.wait_for()
        assert look.path.startswith("/ui/subscriptions/acme.")
        assert look.complaints == []
