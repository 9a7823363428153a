"""The pages over the API in memory on a real socket, for the tests of a file, and one real browser for all of them."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser
from tests.browsers import Look, a_chromium
from tests.doubles.pages import Browser as Reader
from tests.doubles.pages import PagesWorld, logged_in
from tests.doubles.served import Served

from hookstream.core.access.scopes import Scope
from hookstream.entry.api.requests import ApiRequest, ApiResponse


class ServedPages(Served):
    """The pages of a world in memory, served; another world may take its place."""

    def __init__(self) -> None:
        self.world = PagesWorld()
        super().__init__(self)

    async def answer(self, request: ApiRequest) -> ApiResponse:
        return await self.world.site.answer(request)

    async def let_in(self, look: Look, scope: Scope) -> Reader:
        """Let a browser have a session of the world, which was begun outside of it; return who began it, and has it too.

        A login by the browser costs as much as three pages; `test_pages_in_browser.py` has it.
        """
        person = await logged_in(self.world, self.world.api.tokens[scope])
        await look.take(person.cookies)
        return person


@pytest.fixture(scope="module")
def served() -> Iterator[ServedPages]:
    served = ServedPages()
    served.start()
    yield served
    served.stop()


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def chromium() -> AsyncIterator[Browser]:
    async with a_chromium() as browser:
        yield browser
