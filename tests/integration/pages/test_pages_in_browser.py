"""Every page in a real browser: for operators and partners, with scripts and without them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
import pytest_asyncio
from playwright.async_api import Browser
from tests.browsers import Look, Scheme, a_look
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


@dataclass(frozen=True)
class Person:
    """Who looks, and through what."""

    scope: Scope = Scope.ADMIN
    scripts: bool = True
    scheme: Scheme = "light"
    width: int = 1280


SEEN = [
    pytest.param(
        person, *each.values, id=f"{'with scripts' if scripts else 'without'}-{each.id}, {scope}"
    )
    for scripts in (True, False)
    for scope in (Scope.ADMIN, Scope.PARTNER_MANAGE)
    for person in (Person(scope, scripts),)
    for each in SHOWN
    if each.values[0].scope in IMPLIED[scope]  # type: ignore[union-attr]  # A page
]
"""Each page with those who may see it."""


class People:
    """Lets one person at a time look, who stays logged in: a login costs more than a page."""

    def __init__(self, served: ServedPages, chromium: Browser) -> None:
        self._served, self._chromium = served, chromium
        self._person: Person | None = None
        self._look: Look
        self._window = AsyncExitStack()

    async def look(self, person: Person) -> Look:
        """Return the window of a person, with no complaint yet."""
        if person != self._person:
            await self.close()
            window = a_look(
                self._chromium,
                self._served.url,
                scripts=person.scripts,
                scheme=person.scheme,
                width=person.width,
            )
            self._look = await self._window.enter_async_context(window)
            await self._look.log_in(self._served.world.api.tokens[person.scope])
            self._person = person
        self._look.complaints.clear()
        return self._look

    async def close(self) -> None:
        self._person = None
        await self._window.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def people(served: ServedPages, chromium: Browser) -> AsyncIterator[People]:
    people = People(served, chromium)
    yield people
    await people.close()


@pytest.mark.parametrize(("person", "page"), SEEN)
async def test_a_browser_shows_a_page_without_a_complaint(
    people: People, person: Person, page: ConsolePage
) -> None:
    expected = EXPECTATIONS[page.name]
    look = await people.look(person)
    status = await look.open(expected.path(page.path))
    if expected.status == _LEADS_ON:
        assert (status, expected.says in look.path) == (200, True)
    else:
        assert status == expected.status
        assert expected.says in await look.page.locator("main").inner_text()
    assert look.complaints == []


@pytest.mark.parametrize("page", SHOWN)
@pytest.mark.parametrize(
    "person",
    [Person(), Person(scheme="dark"), Person(width=360)],
    ids=["light-1280", "dark-1280", "light-360"],
)
async def test_nothing_serious_is_in_the_way_of_anybody(
    people: People, person: Person, page: ConsolePage
) -> None:
    """In the colours of each scheme, and on a narrow screen, which nothing makes wider."""
    look = await people.look(person)
    await look.open(EXPECTATIONS[page.name].path(page.path))
    assert await look.barriers() == []
    wide = await look.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= person.width
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
