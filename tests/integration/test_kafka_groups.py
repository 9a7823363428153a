"""A group's position is queried from a real broker, with members of both protocols."""

import asyncio

import pytest
from tests.conftest import Broker
from tests.contracts.source_worlds import KafkaWorld, only, take_some
from tests.doubles.listener import BookkeepingListener

from hookstream.adapters.kafka.groups import KafkaGroups
from hookstream.core.model.record import TopicPartition
from hookstream.core.offsets.commit_metadata import CommitPosition, encode_metadata
from hookstream.core.offsets.group_position import GroupPosition
from hookstream.errors import DependencyUnavailable

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(params=["consumer", "classic"])
def world(request: pytest.FixtureRequest, broker: Broker, prefix: str) -> KafkaWorld:
    return KafkaWorld(broker.bootstrap_servers, prefix, request.param)


@pytest.fixture
def groups(broker: Broker) -> KafkaGroups:
    client_id = "hookstream-here"
    return KafkaGroups({"bootstrap.servers": broker.bootstrap_servers, "client.id": client_id})


async def ask(groups: KafkaGroups, group: str, *partitions: TopicPartition) -> list[GroupPosition]:
    return await asyncio.to_thread(groups.positions, group, partitions)


async def test_a_member_its_commit_and_its_settled_offsets_above_are_reported(
    world: KafkaWorld, groups: KafkaGroups
) -> None:
    group, topic = f"{world.prefix}.g", f"{world.prefix}.events"
    at = TopicPartition(topic, 0)
    await world.create(topic)
    began = world.now()
    for number in range(10):
        await world.append(topic, b"%d" % number)
    source = world.source("g", only(topic))

    await source.start(BookkeepingListener())
    try:
        await take_some(source, 10)
        source.commit({at: CommitPosition(2, encode_metadata(2, [(3, 9)], 1_000).text)})
        [found] = await ask(groups, group, at)
        # Before this commit, the position at which the group began is committed.
        while found.committed is None or found.committed.offset != 2:
            await take_some(source, 1, seconds=0.1)
            [found] = await ask(groups, group, at)
    finally:
        await source.close()

    assert found.holder is not None
    assert (found.holder.host.removeprefix("/"), found.holder.client_id) == (
        "127.0.0.1",
        "rdkafka",
    )
    assert (found.start, found.committed.offset, found.end) == (0, 2, 10)
    assert (found.settled_above, found.unsettled) == (6, 2)
    assert found.oldest is not None
    assert began <= found.oldest <= world.now()
    left = (await ask(groups, group, at))[0]
    assert (left.holder, left.committed, left.unsettled) == (None, found.committed, 2)


async def test_an_unknown_group_has_no_members_and_no_commits(
    world: KafkaWorld, groups: KafkaGroups
) -> None:
    topic = f"{world.prefix}.events"
    await world.create(topic, partitions=2)
    await world.append(topic, b"0", partition=1)
    asked = [TopicPartition(topic, 1), TopicPartition(topic, 0)]

    found = await ask(groups, f"{world.prefix}.nobody", *asked)

    assert [each.at for each in found] == asked
    assert [(each.holder, each.committed) for each in found] == [(None, None), (None, None)]
    assert [each.unsettled for each in found] == [1, 0]
    assert found[1].oldest is None
    assert (await asyncio.to_thread(groups.topics))[topic] == 2


async def test_a_marker_behind_the_last_settled_record_is_nothing_to_settle(
    world: KafkaWorld, groups: KafkaGroups
) -> None:
    topic, at = f"{world.prefix}.events", TopicPartition(f"{world.prefix}.events", 0)
    await world.create(topic)
    await world.transaction(topic, b"0", b"1")

    await world.commit("g", at, 1)
    [one] = await ask(groups, f"{world.prefix}.g", at)
    await world.commit("g", at, 2)
    [none] = await ask(groups, f"{world.prefix}.g", at)

    assert (one.end, one.unsettled, one.oldest is None) == (3, 2, False)
    assert (none.end, none.unsettled, none.oldest) == (3, 0, None)


def test_an_unreachable_broker_is_reported_as_unreachable() -> None:
    nowhere = KafkaGroups({"bootstrap.servers": "127.0.0.1:1"}, timeout=0.5)
    with pytest.raises(DependencyUnavailable, match="cannot read the positions of group g"):
        nowhere.positions("g", [TopicPartition("events", 0)])
