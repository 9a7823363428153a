"""One platform with a console for all tests of pages on real Kafka, and one browser that looks at it.

Tests of this folder are asynchronous, with `pytest.mark.asyncio(loop_scope="package")`; they leave both running.
"""

from collections.abc import AsyncIterator
from secrets import token_hex

import pytest
import pytest_asyncio
from playwright.async_api import Browser
from tests.browsers import a_chromium
from tests.conftest import Broker
from tests.e2e.consoles import Console, Endpoint
from tests.e2e.platform import Platform
from tests.e2e.world import a_world

HOSTILE = "Rival <script>alert(1)</script>\u202e"


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def platform(
    broker: Broker, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Platform]:
    """Partners `acme`, of which every kind of delivery has been seen, and `rival`, with a name that is markup."""
    folder = tmp_path_factory.mktemp("pages")
    async with a_world(folder, broker.bootstrap_servers, f"t{token_hex(5)}") as world:
        world.stage.environ["HOOKSTREAM_CONSOLE__NAME"] = "rehearsal"
        world.stage.environ["HOOKSTREAM_CONSOLE__WORKERS"] = f"127.0.0.1:{world.stage.port}"
        made = Platform(world, Endpoint(), {"first": Console(world, "first", folder / "index")})
        try:
            await made.set_up()
            rival = {
                "id": "rival",
                "name": HOSTILE,
                "grant": {"event_types": ["*"], "environments": ["*"]},
            }
            await made.made("/v1/partners", rival)
            await made.subscribe("theirs", partner="rival")
            yield made
        finally:
            await made.end()


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def chromium() -> AsyncIterator[Browser]:
    async with a_chromium() as browser:
        yield browser
