"""What end-to-end tests share: a separate world on the broker that all tests share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.conftest import Broker
from tests.e2e.world import World, a_world


@pytest.fixture
async def world(broker: Broker, prefix: str, tmp_path: Path) -> AsyncIterator[World]:
    """Topics and schemas under a separate prefix; whatever runs in it ends with the test."""
    async with a_world(tmp_path, broker.bootstrap_servers, prefix) as made:
        yield made
