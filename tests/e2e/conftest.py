"""What end-to-end tests share: a world of their own on the broker that all tests share."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.conftest import ROOT, Broker
from tests.e2e.world import World, a_world

from hookstream.adapters.dev_broker import BrokerProcess
from hookstream.adapters.kafka_jars import fetch_kafka, find_java


@pytest.fixture
async def world(broker: Broker, prefix: str, tmp_path: Path) -> AsyncIterator[World]:
    """Topics and schemas under a prefix of their own; whatever runs in it ends with the test."""
    async with a_world(tmp_path, broker.bootstrap_servers, prefix) as made:
        yield made


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    """A broker that a test may kill or freeze: all other tests go on with theirs."""
    libs = fetch_kafka(ROOT / ".cache" / "kafka", print)
    with BrokerProcess(libs, find_java(), data=tmp_path / "broker") as process:
        yield process
