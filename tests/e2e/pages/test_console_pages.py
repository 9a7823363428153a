"""The pages of a real console: who sees what, and that they keep up with what happens."""

import re
import time

import pytest
from playwright.async_api import Browser, expect
from tests.browsers import PATIENCE, a_kept_look
from tests.e2e.pages.people import let_in
from tests.e2e.platform import EVENTS, Platform

pytestmark = [pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="package")]

REVOKED_WITHIN = 2.0
"""Seconds after which no page is shown to a token that was revoked."""


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
async def test_an_operator_sees_everything_and_a_partner_its_own(
    platform: Platform, chromium: Browser, *, scripts: bool
) -> None:
    url = platform.console.url
    async with a_kept_look(chromium, url, scripts=scripts) as look:
        await look.log_in(platform.token)
        assert "rehearsal" in await look.says("header")
        assert "Success rate" in await look.says()
        await look.press(look.page.get_by_role("link", name="Subscriptions"))
        rows = look.page.get_by_role("row")
        await expect(rows).to_have_count(5)
        await look.picture("subscriptions")
        await look.open("/ui/subscriptions?partner=rival")
        await expect(rows).to_have_count(2)
        assert look.complaints == []
    async with a_kept_look(chromium, url, scripts=scripts) as look:
        await look.log_in(platform.partner)
        await look.press(look.page.get_by_role("link", name="Subscriptions"))
        await expect(look.page.get_by_role("row")).to_have_count(4)
        assert "rival" not in await look.page.content()
        assert look.complaints == []


async def test_the_overview_keeps_up_with_what_is_delivered(
    platform: Platform, chromium: Browser
) -> None:
    async with a_kept_look(chromium, platform.console.url) as look:
        await let_in(look, platform, platform.token)
        await look.open("/ui/overview")
        before = int(await look.figure("Delivered"))
        assert before >= EVENTS
        await platform.publish(3)
        # To `healthy` and to `theirs`.
        await expect(look.figures("Delivered")).to_have_text(str(before + 6), timeout=PATIENCE)
        assert await look.barriers() == []
        await look.picture("overview")
        assert look.complaints == []


async def test_a_worker_says_what_its_lane_of_a_failing_subscription_does(
    platform: Platform, chromium: Browser
) -> None:
    async with a_kept_look(chromium, platform.console.url) as look:
        await let_in(look, platform, platform.token)
        # A lane without work for long is forgotten.
        await platform.publish(1)
        await look.open("/ui/subscriptions/waiting")
        # A machine that is busy may not answer within the second that a page waits: the next look does.
        lane = look.page.get_by_role("row").filter(
            has_text=f"127.0.0.1:{platform.world.stage.port}"
        )
        await expect(lane).to_contain_text(re.compile(r"\d+ of \d+"), timeout=PATIENCE)
        assert await look.barriers() == []
        assert look.complaints == []


async def test_a_session_is_over_as_soon_as_its_token_is_revoked(
    platform: Platform, chromium: Browser
) -> None:
    made = await platform.made("/v1/tokens", {"scope": "partner:read", "partner": "acme"})
    async with a_kept_look(chromium, platform.console.url) as look:
        await let_in(look, platform, platform.kept("a token of a session", made["text"]))
        await platform.made(f"/v1/tokens/{made['token']['id']}/revoke", None)
        revoked = time.monotonic()
        while True:
            asked = time.monotonic()
            if await look.open("/ui/subscriptions") != 200 or look.path != "/ui/subscriptions":
                break
            assert asked - revoked < REVOKED_WITHIN
        assert look.path == "/ui/login?to=%2Fui%2Fsubscriptions"
