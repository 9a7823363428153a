"""Every page in a real browser: for operators and partners, with scripts and without them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
import pytest_asyncio
from playwright.async_api import Browser
from tests.browsers import Look, Scheme, a_kept_look, a_look
from tests.integration.pages.conftest import ServedPages
from tests.unit.entry.pages.expectations import EXPECTATIONS

from hookstream.core.access.scopes import IMPLIED, Scope
from hookstream.entry.pages.page import ConsolePage
from hookstream.entry.pages.table import PAGES

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.timeout(300)]

_LEADS_ON = 303
WIDE = 1280
SHOWN = [
    pytest.param(page, id=page.name)
    for page in PAGES.pages
    if page.method == "GET" and page.scope is not None and not EXPECTATIONS[page.name].is_file
]


@dataclass(frozen=True)
class Person:
    """Who looks, and through what."""

    scope: Scope
    scripts: bool


OPERATOR = Person(Scope.ADMIN, scripts=True)
PEOPLE = (
    OPERATOR,
    Person(Scope.PARTNER_MANAGE, scripts=True),
    Person(Scope.ADMIN, scripts=False),
    Person(Scope.PARTNER_MANAGE, scripts=False),
)
SEEN = [
    pytest.param(
        (person, *each.values),
        id=f"{'with scripts' if person.scripts else 'without'}-{each.id}, {person.scope}",
    )
    for person in PEOPLE
    for each in SHOWN
    if each.values[0].scope in IMPLIED[person.scope]  # type: ignore[union-attr]  # A page
]
"""Each page with those who may see it; the operator, who may see all of them, comes first."""
BY_OPERATOR = SEEN[: len(SHOWN)]


class People:
    """Lets one person at a time look, who stays in a window: a new one costs more than a page."""

    def __init__(self, served: ServedPages, chromium: Browser) -> None:
        self._served, self._chromium = served, chromium
        self._person: Person | None = None
        self._look: Look
        self._window = AsyncExitStack()

    async def look(self, person: Person) -> Look:
        """Return the window of a person."""
        if person != self._person:
            await self.close()
            window = a_kept_look(self._chromium, self._served.url, scripts=person.scripts)
            self._look = await self._window.enter_async_context(window)
            await self._served.let_in(self._look, person.scope)
            self._person = person
        return self._look

    async def close(self) -> None:
        self._person = None
        await self._window.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def people(served: ServedPages, chromium: Browser) -> AsyncIterator[People]:
    people = People(served, chromium)
    yield people
    await people.close()


@dataclass(frozen=True)
class Opened:
    """A page that somebody opened, and still looks at."""

    page: ConsolePage
    look: Look
    status: int


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def opened(people: People, request: pytest.FixtureRequest) -> Opened:
    """A page, which is opened once for all tests of it: pytest has them follow each other."""
    person, page = request.param
    look = await people.look(person)
    await look.see("light", WIDE)
    look.complaints.clear()
    return Opened(page, look, await look.open(EXPECTATIONS[page.name].path(page.path)))


@pytest.mark.parametrize("opened", SEEN, indirect=True)
async def test_a_browser_shows_a_page_without_a_complaint(opened: Opened) -> None:
    look, expected = opened.look, EXPECTATIONS[opened.page.name]
    if expected.status == _LEADS_ON:
        assert (opened.status, expected.says in look.path) == (200, True)
    else:
        assert opened.status == expected.status
        assert expected.says in await look.says()
    assert look.complaints == []


@pytest.mark.parametrize("opened", BY_OPERATOR, indirect=True)
@pytest.mark.parametrize(
    ("scheme", "width"),
    [("light", WIDE), ("dark", WIDE), ("light", 360)],
    ids=["light-1280", "dark-1280", "light-360"],
)
async def test_nothing_serious_is_in_the_way_of_anybody(
    opened: Opened, scheme: Scheme, width: int
) -> None:
    """In the colours of each scheme, and on a narrow screen, which nothing makes wider."""
    look = opened.look
    await look.see(scheme, width)
    assert await look.barriers() == []
    assert await look.page.evaluate("document.documentElement.scrollWidth") <= width
    assert look.complaints == []


async def test_what_is_seriously_in_the_way_is_found_in_each_scheme(chromium: Browser) -> None:
    """What is not, as a page without a heading, is not named."""
    async with a_look(chromium, "http://partner.example") as look:
        await look.page.set_content(
            "<!doctype html><html lang=en><title>A page</title><main><img src=data:,>"
            "<style>@media (prefers-color-scheme: dark) { p { color: #777; background: #666 } }</style>"
            "<p>Grey</p></main></html>"
        )
        assert await look.barriers() == ['critical: image-alt: [["img"]]']
        await look.see("dark", WIDE)
        assert await look.barriers() == [
            'serious: color-contrast: [["p"]]',
            'critical: image-alt: [["img"]]',
        ]


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
async def test_a_person_logs_in_where_a_page_asks_for_it_and_out_again(
    served: ServedPages, chromium: Browser, *, scripts: bool
) -> None:
    async with a_kept_look(chromium, served.url, scripts=scripts) as look:
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
    async with a_kept_look(chromium, served.url) as look:
        await served.let_in(look, Scope.ADMIN)
        await look.open("/ui/subscriptions")
        await look.page.keyboard.press("Tab")
        await look.page.keyboard.press("Enter")
        focused = await look.page.evaluate("document.activeElement.id")
        assert (focused, look.path) == ("content", "/ui/subscriptions")
