"""Who walks through the pages: opens them, fills in their forms as they are shown, and presses their buttons."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.async_api import Browser, Locator
from tests.browsers import NOT_CURRENT, Look, a_look
from tests.e2e.consoles import DEADLINE
from tests.e2e.page_client import PageClient
from tests.e2e.platform import Platform

from hookstream.entry.pages.page import ConsolePage
from hookstream.entry.pages.table import PAGES

_PAUSE = 0.3


def page_at(method: str, path: str) -> ConsolePage | None:
    """Return the page of the table at a path."""
    found = PAGES.methods(tuple(urlsplit(path).path.strip("/").split("/"))).get(method)
    return None if found is None else found.found


@dataclass
class Person:
    """One person in one browser's window."""

    look: Look
    pressed: set[str] = field(default_factory=set)
    """The names of the acts whose forms were sent."""

    async def main(self) -> str:
        """Return what the page says."""
        return await self.look.says()

    async def open(self, path: str) -> str:
        """Open a page that there is, and return what it says."""
        status = await self.look.open(path)
        said = await self.main()
        assert status == 200, (path, status, said)
        return said

    def form(self, action: str) -> Locator:
        """Return the form of this page that is sent to a path."""
        return self.look.page.locator(f'form[method="post"][action="{action}"]')

    async def press(self, action: str, **filled: str) -> str:
        """Fill in the form of this page that is sent to a path, press its button, and return what comes.

        Args:
            action: The path.
            filled: What is filled in, by the names of its fields.
        """
        return await self.press_form(self.form(action), action, **filled)

    async def press_form(self, shown: Locator, action: str, **filled: str) -> str:
        """As `press`, of a form that does not say where it is sent to, or that is one of several."""
        for name, value in filled.items():
            await _fill(shown, name, value)
        answer, page = await self.look.press(shown.locator("button")), page_at("POST", action)
        said = await self.main()
        assert answer.status == 200, (action, answer.status, said)
        assert page is not None, action
        self.pressed.add(page.name)
        return said

    async def follow(self, link: Locator) -> str:
        """Follow a link, and return what the page says that comes."""
        answer = await self.look.press(link)
        said = await self.main()
        assert answer.status == 200, (self.look.path, answer.status, said)
        return said

    async def until(self, path: str, *says: str | re.Pattern[str]) -> str:
        """Open a page again and again until it says all of this, and return what it says."""
        deadline = time.monotonic() + DEADLINE
        said = await self.open(path)
        while not _has(said, says):
            assert time.monotonic() < deadline, (path, says, said)
            status = await self.look.open_again(path)
            said = await self.main()
            assert status == 200, (path, status, said)
        return said


def _has(said: str, wanted: Iterable[str | re.Pattern[str]]) -> bool:
    return all(
        each in said if isinstance(each, str) else each.search(said) is not None for each in wanted
    )


async def _fill(shown: Locator, name: str, value: str) -> None:
    """Fill in a field as a person does, who first unfolds what it is folded into."""
    field_ = shown.locator(f'[name="{name}"]')
    folded = shown.locator("details:not([open])", has=shown.page.locator(f'[name="{name}"]'))
    if await folded.count():
        await folded.locator("summary").click()
    kind = await field_.evaluate("each => each.type")
    if kind == "select-one":
        await field_.select_option(value)
    elif kind == "checkbox":
        await field_.set_checked(bool(value))
    else:
        await field_.fill(value)


async def let_in(look: Look, platform: Platform, token: str) -> None:
    """Let a browser have a session of a token, which was begun outside of it: a login by it costs as much as four pages.

    `test_console_pages.py` and the walk have logins by browsers.
    """
    client, deadline = PageClient(platform.console), time.monotonic() + DEADLINE
    while not client.session:
        shown = await client.get("/ui/login")
        done = (
            await client.press("/ui/login", shown, token=token) if shown.status == 200 else shown
        )
        # While its tables are not current, a console believes no token.
        assert done.status in (303, NOT_CURRENT), done
        assert time.monotonic() < deadline, done
        if not client.session:
            await asyncio.sleep(_PAUSE)
    await look.take(client.cookies)


@asynccontextmanager
async def a_person(
    browser: Browser, url: str, token: str, *, scripts: bool
) -> AsyncIterator[Person]:
    """Let somebody log in with a token, in a window that nobody else has."""
    async with a_look(browser, url, scripts=scripts) as look:
        await look.log_in(token)
        yield Person(look, {"log_in"})


@asynccontextmanager
async def another_window(
    browser: Browser, person: Person, *, width: int, scripts: bool = True
) -> AsyncIterator[Person]:
    """Open another window in the session of somebody who is logged in."""
    async with a_look(browser, person.look.url, width=width, scripts=scripts) as look:
        await look.page.context.add_cookies(await person.look.page.context.cookies())  # type: ignore[arg-type]  # The same keys
        yield Person(look)
