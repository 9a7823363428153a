"""The pages of deliveries over a real platform: what failed, waits and was sent again, by operator and partner."""

import json
import time

import pytest
from playwright.async_api import Browser, expect
from tests.browsers import PATIENCE, Look, a_kept_look
from tests.e2e.consoles import DEADLINE
from tests.e2e.pages.people import let_in
from tests.e2e.platform import Platform

pytestmark = [pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="package")]


async def first(platform: Platform, subscription: str, state: str) -> str:
    """Return the id of a delivery of a subscription in a state that was attempted."""
    path = f"/v1/deliveries?subscription={subscription}&state={state}"
    found = await platform.console.done("GET", path, platform.token)
    delivery: str = next(
        each["delivery"] for each in found.json["items"] if each["attempts"] and not each["job"]
    )
    return delivery


WAITS = ["Event published", "Matched with the subscription", "Attempt 1", "Waits"]


async def shows(look: Look, expected: list[str]) -> None:
    """Look again until the timeline has these steps: what was attempted a moment ago waits a moment later."""
    deadline = time.monotonic() + DEADLINE
    while (found := [each for each in await steps(look) if each != "Waited"]) != expected:
        assert time.monotonic() < deadline, found
        await look.open_again(look.path)


async def steps(look: Look) -> list[str]:
    """Return what each step of the timeline is called."""
    return await look.page.locator("ol.timeline > li .what > p > b").all_inner_texts()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
async def test_from_the_list_to_what_waits_and_why(
    platform: Platform, chromium: Browser, *, scripts: bool
) -> None:
    delivery = await first(platform, "waiting", "pending")
    for token in (platform.token, platform.partner):
        async with a_kept_look(chromium, platform.console.url, scripts=scripts) as look:
            await let_in(look, platform, token)
            await look.open("/ui/overview")
            await look.press(look.page.get_by_role("link", name="Deliveries"))
            await look.page.get_by_label("State").select_option("pending")
            await look.page.get_by_label("Subscription").fill("waiting")
            await look.press(look.page.get_by_role("button", name="Filter"))
            await look.page.wait_for_url("**state=pending**")
            await look.picture(
                f"deliveries {'operator' if token == platform.token else 'partner'}"
            )
            await look.press(look.page.get_by_role("link", name=delivery))
            await look.page.wait_for_url("**/ui/deliveries/msg_*")
            await shows(look, WAITS)
            main = await look.says()
            assert "failed 503" in main
            assert ("Worker" in main) is (token == platform.token)
            assert platform.world.prefix in main or token == platform.partner
            assert token == platform.token or platform.world.prefix not in main
            await look.picture(f"delivery {'operator' if token == platform.token else 'partner'}")
            if scripts:
                assert await look.barriers() == []
            assert look.complaints == []


async def test_a_dead_letter_is_sent_again_and_the_page_keeps_up_with_it(
    platform: Platform, chromium: Browser
) -> None:
    delivery = await first(platform, "refused", "dead-lettered")
    async with a_kept_look(chromium, platform.console.url) as look:
        await let_in(look, platform, platform.token)
        await look.open(f"/ui/deliveries/{delivery}")
        assert (await steps(look))[-2:] == ["Attempt 1", "Dead-lettered"]
        platform.endpoint.statuses.pop("/refused")
        await look.page.get_by_label("Reason").fill("they take it now")
        await look.press(look.page.get_by_role("button", name="Send it again"))
        await look.page.get_by_role("status").wait_for()
        await expect(look.page.get_by_text("Resend began")).to_have_count(1, timeout=PATIENCE)
        await expect(look.page.locator("ol.timeline > li").last).to_contain_text(
            "Completed", timeout=PATIENCE
        )
        platform.endpoint.statuses["/refused"] = 400
        await look.picture("delivery sent again")
        assert look.complaints == []
    jobs = (await platform.console.done("GET", "/v1/jobs?kind=resend", platform.token)).json
    assert [each["asked"].get("reason") for each in jobs["items"]] == ["they take it now"]


async def test_a_body_is_rendered_again_for_whoever_asks(
    platform: Platform, chromium: Browser
) -> None:
    delivery = await first(platform, "healthy", "completed")
    for token in (platform.token, platform.partner):
        async with a_kept_look(chromium, platform.console.url) as look:
            await let_in(look, platform, token)
            await look.open(f"/ui/deliveries/{delivery}")
            await look.press(look.page.get_by_role("link", name="Show the body"))
            await look.page.wait_for_url("**/payload")
            body = json.loads(await look.page.locator("pre.body").first.inner_text())
            assert {"type", "id", "data"} <= body.keys()
            await look.picture("body")
            assert look.complaints == []


async def test_another_partners_delivery_is_as_one_that_there_is_not(
    platform: Platform, chromium: Browser
) -> None:
    path = "/v1/deliveries?subscription=theirs&limit=1"
    await platform.publish(1)
    found = await platform.console.until(path, platform.token, lambda page: bool(page["items"]))
    delivery = found["items"][0]["delivery"]
    async with a_kept_look(chromium, platform.console.url) as look:
        await let_in(look, platform, platform.partner)
        for page in ("", "/payload"):
            absent = await look.open(f"/ui/deliveries/msg_nothing{page}")
            text = await look.says()
            assert (absent, await look.open(f"/ui/deliveries/{delivery}{page}")) == (404, 404)
            assert await look.says() == text
        assert "/ui/deliveries" in look.path
