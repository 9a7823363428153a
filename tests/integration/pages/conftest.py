"""The pages over the API in memory on a real socket, and a real browser; both stay for the tests of a file."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser
from tests.browsers import a_chromium
from tests.doubles.pages import PagesWorld
from tests.doubles.served import Served

from hookstream.entry.api.requests import ApiRequest, ApiResponse


class ServedPages(Served):
    """The pages of a world in memory, served; another world may take its place."""

    def __init__(self) -> None:
        self.world = PagesWorld()
        super().__init__(self)

    async def answer(self, request: ApiRequest) -> ApiResponse:
        return await self.world.site.answer(request)


@pytest.fixture(scope="module")
def served() -> Iterator[ServedPages]:
    served = ServedPages()
    served.start()
    yield served
    served.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with a_chromium() as browser:
        yield browser
