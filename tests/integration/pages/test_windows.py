"""A browser's window that several people look through, one after the other: none finds anything of another."""

import pytest
from playwright.async_api import Browser, Route
from tests.browsers import a_kept_look
from tests.integration.pages.conftest import ServedPages

from hookstream.core.access.scopes import Scope

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.timeout(300)]

FOUND = """() => [
  localStorage.length, sessionStorage.length, innerWidth, matchMedia("(prefers-color-scheme: dark)").matches,
]"""


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
async def test_who_gets_a_window_finds_nothing_of_who_had_it(
    served: ServedPages, chromium: Browser, *, scripts: bool
) -> None:
    async def refuse(route: Route) -> None:
        await route.fulfill(status=503)

    async with a_kept_look(
        chromium, served.url, scripts=scripts, scheme="dark", width=360
    ) as before:
        await served.let_in(before, Scope.ADMIN)
        await before.open("/ui/subscriptions")
        await before.page.evaluate("localStorage.left = sessionStorage.left = 'something'")
        assert await before.page.evaluate(FOUND) == [1, 1, 360, True]
        await before.page.route("**/ui/subscriptions", refuse)
        before.complaints.append("something")
    # The script of that page would ask for its parts, and be refused.
    assert before.path == ("/ui/static/icon.svg" if scripts else "/ui/subscriptions")
    async with a_kept_look(chromium, served.url, scripts=scripts) as after:
        assert after is before
        assert (after.complaints, await after.page.context.cookies()) == ([], [])
        assert await after.open("/ui/subscriptions") == 200
        assert await after.page.evaluate(FOUND) == [0, 0, 1280, False]
        assert after.path == "/ui/login?to=%2Fui%2Fsubscriptions"


async def test_a_window_of_a_test_that_fails_is_left_to_nobody(
    served: ServedPages, chromium: Browser
) -> None:
    async def fails() -> None:
        async with a_kept_look(chromium, served.url) as look:
            windows.append(look.page)
            await look.open("/ui/login")
            raise AssertionError("it fails")

    windows: list[object] = []
    with pytest.raises(AssertionError, match="it fails"):
        await fails()
    async with a_kept_look(chromium, served.url) as look:
        assert look.page not in windows
        await look.open("/ui/login")
