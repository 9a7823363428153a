"""The past, in memory or on Kafka, is read as a replay needs it: whole, in any order of times, and once."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence

import pytest
from tests.contracts.past_worlds import KafkaPastWorld, MemoryPast, PastWorld

from hookstream.core.model.record import Record, TopicPartition
from hookstream.core.replay.extent import LogBounds, extent_of
from hookstream.pipeline.past_ports import PastReader

KAFKA = (pytest.mark.kafka, pytest.mark.real_time)
BEGAN = 1_700_000_000_000


@pytest.fixture(params=["memory", pytest.param("kafka", marks=KAFKA)])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[PastWorld]:
    made: PastWorld
    if request.param == "memory":
        made = MemoryPast()
    else:
        servers = request.getfixturevalue("broker").bootstrap_servers
        made = KafkaPastWorld(servers, request.getfixturevalue("prefix"))
    yield made
    made.close()


def numbers(count: int) -> list[bytes]:
    return [str(number).encode() for number in range(count)]


async def read(world: PastWorld, topic: str, most: int = 500) -> list[Record]:
    """Read a topic up to the high watermarks that it has now."""
    past = world.past
    listing = await past.topics()
    partitions = [at for at in listing.partitions if at.topic == topic]
    extent = extent_of(listing.ids, await past.lows(partitions), await past.ends(partitions))
    found: list[Record] = []
    async with (
        asyncio.timeout(60),
        past.read({at: span.next for at, span in extent.spans.items()}) as reader,
    ):
        while extent.spans:
            taken = await reader.take(most)
            assert len(taken.records) <= most
            assert not taken.gone
            found += [each for each in taken.records if each.offset < extent.spans[each.where].end]
            extent = extent.moved(taken.positions)
    return found


def places(records: Sequence[Record]) -> list[tuple[int, int, bytes | None]]:
    return sorted((each.partition, each.offset, each.value) for each in records)


async def test_partitions_are_read_together_to_their_ends(world: PastWorld) -> None:
    topic = f"{world.prefix}a"
    await world.create(topic, 3)
    for partition in range(3):
        await world.append(topic, numbers(40 + partition), partition)
    listing = await world.past.topics()
    assert [*listing.topics] == [topic]
    assert (listing.brokers, listing.replicas, len(listing.topics[topic].topic_id)) == (1, 1, 32)
    found = await read(world, topic, 7)
    assert places(found) == [(p, n, str(n).encode()) for p in range(3) for n in range(40 + p)]


async def test_open_transactions_are_waited_for_and_markers_are_stepped_over(
    world: PastWorld,
) -> None:
    topic = f"{world.prefix}a"
    await world.create(topic)
    await world.append(topic, [b"first"])
    opened = await world.transaction(topic, [b"t0", b"t1"])
    aborted = await world.transaction(topic, [b"u0", b"u1", b"u2"])
    await world.append(topic, [b"last"])
    await aborted.end(commit=False)
    at = TopicPartition(topic, 0)
    async with asyncio.timeout(60), world.past.read({at: 0}) as reader:
        assert await until_it_waits(reader, at) == [b"first"]
        await opened.end(commit=True)
    # The first, two of the transaction, three aborted, the last, and two markers.
    assert (await world.past.ends([at]))[at] == 9
    assert [each.value for each in await read(world, topic)] == [b"first", b"t0", b"t1", b"last"]


async def until_it_waits(reader: PastReader, at: TopicPartition) -> list[bytes | None]:
    """Read until a reader says that open transactions hide the rest."""
    values: list[bytes | None] = []
    while True:
        taken = await reader.take(500)
        values += [each.value for each in taken.records]
        if not taken.records and at in taken.at_end:
            return values


async def test_the_first_offset_of_a_time_has_every_younger_record_behind_it_in_any_order(
    world: PastWorld,
) -> None:
    """Times are drawn, so they go back all the time, over several segments and index entries."""
    topic = f"{world.prefix}a"
    await world.create(
        topic,
        message_timestamp_type="CreateTime",
        segment_bytes="1048576",
        index_interval_bytes="500",
        retention_ms="-1",
    )
    drawn = random.Random(7)
    times = [BEGAN + number + drawn.randrange(1_000) for number in range(1_200)]
    await world.append(topic, [b"x" * 2_000] * len(times), times=times)
    at = TopicPartition(topic, 0)
    for since in [BEGAN, BEGAN + 2_500, *drawn.sample(times, 20)]:
        first = (await world.past.firsts([at], since))[at]
        assert first == next((n for n, time in enumerate(times) if time >= since), len(times))


async def test_what_retention_took_and_a_topic_that_was_created_again_are_noticed(
    world: PastWorld,
) -> None:
    past, topic = world.past, f"{world.prefix}a"
    at = TopicPartition(topic, 0)
    await world.create(topic)
    await world.append(topic, numbers(50))
    ids = await past.ids([topic])
    async with asyncio.timeout(60), past.read({at: 0}) as reader:
        await world.delete_before(at, 30)
        while at not in (await reader.take(500)).gone:
            pass
        assert await past.logs([at]) == {at: LogBounds(ids[topic], 30, 50)}
        await reader.place({at: 30})
        records: list[Record] = []
        while len(records) < 20:
            records += (await reader.take(500)).records
        assert [each.offset for each in records] == [*range(30, 50)]
    await world.delete(topic)
    assert await past.logs([at]) == {at: LogBounds(None, 0, 0)}
    await world.create(topic)
    await world.append(topic, numbers(1))
    logs = await past.logs([at])
    assert (logs[at].topic_id != ids[topic], logs[at].high) == (True, 1)
    unknown = f"{world.prefix}unknown"
    assert await past.ids([topic, unknown]) == {topic: logs[at].topic_id, unknown: None}


async def test_partitions_that_were_dropped_are_read_no_more(world: PastWorld) -> None:
    topic = f"{world.prefix}a"
    await world.create(topic, 2)
    one, other = TopicPartition(topic, 0), TopicPartition(topic, 1)
    async with asyncio.timeout(60), world.past.read({one: 0, other: 0}) as reader:
        await reader.drop([one])
        await world.append(topic, numbers(3), 0)
        await world.append(topic, numbers(3), 1)
        found: list[Record] = []
        while len(found) < 3:
            found += (await reader.take(500)).records
        assert {each.partition for each in found} == {1}
