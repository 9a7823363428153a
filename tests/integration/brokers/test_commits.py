"""A failed commit is reported, so that it is repeated, and no commit keeps failing for its metadata."""

import asyncio

import pytest
from tests.conftest import Broker
from tests.contracts.source_worlds import KafkaWorld
from tests.doubles.listener import BookkeepingListener

from hookstream.adapters.dev.broker import BrokerProcess
from hookstream.core.model.record import TopicPartition
from hookstream.core.offsets.commit_metadata import CommitPosition

pytestmark = pytest.mark.timeout(400)


@pytest.mark.parametrize("in_flight", [False, True])
async def test_a_commit_to_a_dead_broker_fails_or_its_partition_is_lost(
    own_broker: BrokerProcess, prefix: str, *, in_flight: bool
) -> None:
    """The client may say nothing of a commit that was in flight when its broker died, once the session is over."""
    # The client waits for its coordinator for as long as a session is: 45 s, and with the other
    # protocol this cannot be configured.
    session = {"session.timeout.ms": 6_000}
    world = KafkaWorld(own_broker.bootstrap_servers, prefix, "classic", session)
    topic = f"{prefix}.events"
    await world.create(topic)
    await world.append(topic, b"0")
    listener = BookkeepingListener()
    source = world.source("g", lambda topics: [t for t in topics if t == topic])
    await source.start(listener)
    try:
        async with asyncio.timeout(120):
            while not await source.take(1):
                pass
            if in_flight:
                own_broker.freeze()
            else:
                await asyncio.to_thread(own_broker.kill)
            source.commit({TopicPartition(topic, 0): CommitPosition(1)})
            # When the second of these is answered, the client has the commit.
            await source.take(1)
            await source.take(1)
            if in_flight:
                await asyncio.to_thread(own_broker.kill)
            ends = [(how, [TopicPartition(topic, 0)]) for how in ("commit_failed", "lost")]
            while not any(end in listener.book for end in ends):
                await source.take(1)
    finally:
        await source.close()


async def test_if_the_broker_refuses_metadata_offsets_are_committed_without_it(
    broker: Broker, prefix: str
) -> None:
    """`offset.metadata.max.bytes` may be set lower; 4,095 bytes pass by default."""
    world = KafkaWorld(broker.bootstrap_servers, prefix, "consumer")
    topic = f"{prefix}.events"
    at = TopicPartition(topic, 0)
    await world.create(topic)
    await world.append(topic, b"0")
    listener = BookkeepingListener()
    source = world.source("g", lambda topics: [t for t in topics if t == topic])
    await source.start(listener)
    try:
        async with asyncio.timeout(60):
            while not await source.take(1):
                pass
            source.commit({at: CommitPosition(1, "x" * 4_096)})
            while ("commit_failed", [at]) not in listener.book:
                await source.take(1)
            assert await world.committed("g", at) == 0

            source.commit({at: CommitPosition(1, "x" * 4_096)})

            while await world.committed("g", at) != 1:
                await source.take(1)
    finally:
        await source.close()
