"""Every record source, in memory or on Kafka, keeps these promises to the pipeline."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from tests.contracts.source_worlds import (
    KafkaWorld,
    MemoryWorld,
    Source,
    World,
    only,
    take_some,
    take_until,
)
from tests.doubles.listener import BookkeepingListener

from hookstream.core.model.instant import DAY, HOUR
from hookstream.core.model.record import TopicPartition
from hookstream.core.offsets.commit_metadata import CommitPosition, encode_metadata
from hookstream.core.offsets.start import StartPolicy
from hookstream.pipeline.ports import AssignmentListener

KAFKA = (pytest.mark.kafka, pytest.mark.real_time)


@pytest.fixture(
    params=[
        "memory",
        pytest.param("consumer", marks=KAFKA),
        pytest.param("classic", marks=KAFKA),
    ]
)
async def world(request: pytest.FixtureRequest) -> World:
    if request.param == "memory":
        return MemoryWorld()
    servers = request.getfixturevalue("broker").bootstrap_servers
    return KafkaWorld(servers, request.getfixturevalue("prefix"), request.param)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def started(stack: AsyncExitStack, source: Source, listener: AssignmentListener) -> Source:
    await source.start(listener)
    stack.push_async_callback(source.close)
    return source


async def test_records_come_in_the_order_of_their_partition(
    world: World, stack: AsyncExitStack
) -> None:
    topic = f"{world.prefix}.events"
    await world.create(topic)
    for number in range(250):
        await world.append(topic, b"%d" % number)
    source = await started(stack, world.source("g", only(topic)), BookkeepingListener())

    taken = await take_some(source, 250)

    assert [(r.where, r.offset, r.value) for r in taken] == [
        (TopicPartition(topic, 0), n, b"%d" % n) for n in range(250)
    ]


async def test_a_transaction_leaves_a_gap_in_the_offsets_and_nothing_else(
    world: World, stack: AsyncExitStack
) -> None:
    """Its marker takes an offset: offsets cannot be counted by records."""
    topic = f"{world.prefix}.events"
    await world.create(topic)
    await world.transaction(topic, b"0", b"1")
    await world.append(topic, b"3")
    await world.transaction(topic, b"4")
    await world.append(topic, b"6")
    source = await started(stack, world.source("g", only(topic)), BookkeepingListener())

    taken = await take_some(source, 5)

    assert [(r.offset, r.value) for r in taken] == [(n, b"%d" % n) for n in (0, 1, 3, 4, 6)]


async def test_a_record_comes_whole(world: World, stack: AsyncExitStack) -> None:
    """A retry is decoded from these bytes and headers: none may be changed or dropped."""
    topic = f"{world.prefix}.events"
    await world.create(topic)
    before = world.now()
    headers = [("traceparent", b"00-1"), ("bare", None), ("twice", b"1"), ("twice", b"2")]
    await world.append(topic, b"\xc3\x01", key=b"k", headers=headers)
    await world.append(topic, None, key=b"k")
    source = await started(stack, world.source("g", only(topic)), BookkeepingListener())

    whole, tombstone = await take_some(source, 2)

    assert (whole.key, whole.value, list(whole.headers)) == (b"k", b"\xc3\x01", headers)
    assert (tombstone.key, tombstone.value, list(tombstone.headers)) == (b"k", None, [])
    assert before - 1000 <= whole.timestamp <= world.now() + 1000
    assert whole.append_time


async def test_a_take_returns_no_more_than_was_requested(
    world: World, stack: AsyncExitStack
) -> None:
    """The request is the credit: what was not requested must stay outside."""
    topic = f"{world.prefix}.events"
    await world.create(topic)
    for number in range(20):
        await world.append(topic, b"%d" % number)
    source = await started(stack, world.source("g", only(topic)), BookkeepingListener())

    sizes: list[int] = []
    while sum(sizes) < 20:
        sizes.append(len(await source.take(3)))

    assert max(sizes) <= 3


async def test_an_empty_topic_gives_nothing_and_does_not_block(
    world: World, stack: AsyncExitStack
) -> None:
    topic = f"{world.prefix}.events"
    await world.create(topic)
    listener = BookkeepingListener()
    source = await started(stack, world.source("g", only(topic)), listener)
    await take_until(source, lambda: bool(listener.assigned))

    assert not await source.take(10)


async def test_a_first_start_is_committed_before_a_record_is_taken(
    world: World, stack: AsyncExitStack
) -> None:
    """Otherwise a crash before the first commit would make the next start look like a first one."""
    topic = f"{world.prefix}.events"
    await world.create(topic, partitions=2)
    await world.append(topic, b"1", partition=0)
    await world.append(topic, b"2", partition=0)
    await world.delete_before(TopicPartition(topic, 0), 1)
    listener = BookkeepingListener()
    source = await started(stack, world.source("g", only(topic)), listener)

    await take_some(source, 1)

    assert listener.book == [
        ("assigned", {TopicPartition(topic, 0): 1, TopicPartition(topic, 1): 0})
    ]
    assert await world.committed("g", TopicPartition(topic, 0)) == 1
    assert await world.committed("g", TopicPartition(topic, 1)) == 0


async def test_the_next_member_continues_at_the_commit(world: World) -> None:
    topic = f"{world.prefix}.events"
    at = TopicPartition(topic, 0)
    await world.create(topic)
    for number in range(5):
        await world.append(topic, b"%d" % number)
    first, second = BookkeepingListener(), BookkeepingListener()
    async with AsyncExitStack() as life:
        source = await started(life, world.source("g", only(topic)), first)
        await take_some(source, 5)
        source.commit({at: CommitPosition(2)})
        first.settled = {at: CommitPosition(3)}

    async with AsyncExitStack() as life:
        source = await started(life, world.source("g", only(topic)), second)
        taken = await take_some(source, 2)

    assert first.book == [("assigned", {at: 0}), ("revoked", [at])]
    assert second.book == [("assigned", {at: 3}), ("revoked", [at])]
    assert [r.offset for r in taken] == [3, 4]


async def test_what_was_settled_above_a_commit_comes_with_the_partition(world: World) -> None:
    """Otherwise everything after one slow record would be delivered again after every reassignment."""
    topic = f"{world.prefix}.events"
    at = TopicPartition(topic, 0)
    await world.create(topic)
    for number in range(5):
        await world.append(topic, b"%d" % number)
    metadata = encode_metadata(1, [(2, 4)], 3_000).text
    longest = encode_metadata(2, [(n, n + 1) for n in range(3, 100_000, 30)], 3_000).text
    first, second, third = BookkeepingListener(), BookkeepingListener(), BookkeepingListener()
    async with AsyncExitStack() as life:
        source = await started(life, world.source("g", only(topic)), first)
        await take_some(source, 5)
        first.settled = {at: CommitPosition(1, metadata)}
    async with AsyncExitStack() as life:
        source = await started(life, world.source("g", only(topic)), second)
        await take_some(source, 4)
        source.commit({at: CommitPosition(2, longest)})
        second.settled = {}

    async with AsyncExitStack() as life:
        source = await started(life, world.source("g", only(topic)), third)
        taken = await take_some(source, 3)

    assert (second.assigned, second.metadata) == ({}, {at: metadata})
    assert 2_900 < len(longest) <= 3_000
    assert third.book[0] == ("assigned", {at: 2})
    assert third.metadata == {at: ""}, "it speaks of offsets beyond the log's end"
    assert [record.offset for record in taken] == [2, 3, 4]


async def test_a_partition_that_moves_is_released_then_continues_where_it_was_settled(
    world: World, stack: AsyncExitStack
) -> None:
    topic = f"{world.prefix}.events"
    await world.create(topic, partitions=2)
    for number in range(4):
        await world.append(topic, b"%d" % number, partition=number % 2)
    ours, theirs = BookkeepingListener(), BookkeepingListener()
    one = await started(stack, world.source("g", only(topic)), ours)
    assert len(await take_some(one, 4)) == 4
    ours.settled = dict.fromkeys(
        [TopicPartition(topic, 0), TopicPartition(topic, 1)], CommitPosition(1)
    )

    two = await started(stack, world.source("g", only(topic)), theirs)
    await take_until(one, lambda: len(ours.assigned) == 1)
    taken = await take_some(two, 1)

    (moved,) = theirs.assigned
    assert ours.book[1] == ("revoked", [moved])
    assert theirs.book == [("assigned", {moved: 1})]
    assert [(r.where, r.offset) for r in taken] == [(moved, 1)]


async def test_a_paused_partition_returns_nothing_and_loses_nothing(
    world: World, stack: AsyncExitStack
) -> None:
    topic = f"{world.prefix}.events"
    paused, read = TopicPartition(topic, 0), TopicPartition(topic, 1)
    await world.create(topic, partitions=2)
    listener = BookkeepingListener()
    source = await started(stack, world.source("g", only(topic)), listener)
    await take_until(source, lambda: len(listener.assigned) == 2)

    source.pause(paused)
    for number in range(10):
        await world.append(topic, b"%d" % number, partition=number % 2)
    meanwhile = [*await take_some(source, 5), *await source.take(10)]
    source.resume(paused)
    after = await take_some(source, 5)

    assert [(r.where, r.offset) for r in meanwhile] == [(read, n) for n in range(5)]
    assert [(r.where, r.offset) for r in after] == [(paused, n) for n in range(5)]


async def test_records_gone_before_they_were_read_are_reported(
    world: World, stack: AsyncExitStack
) -> None:
    """A client by itself resumes at the log's start silently."""
    topic = f"{world.prefix}.events"
    at = TopicPartition(topic, 0)
    await world.create(topic)
    for number in range(60):
        await world.append(topic, b"%d" % number)
    await world.commit("g", at, 10)
    await world.delete_before(at, 50)
    listener = BookkeepingListener()
    source = await started(stack, world.source("g", only(topic)), listener)

    taken = await take_some(source, 10)

    assert listener.book == [("gap", (at, 10, 50)), ("assigned", {at: 50})]
    assert [r.offset for r in taken] == list(range(50, 60))


async def test_offsets_that_vanish_while_running_are_reported_as_a_gap(
    world: World, stack: AsyncExitStack
) -> None:
    """Retention overtakes a reader that is delayed: what it skips then must be known."""
    topic = f"{world.prefix}.events"
    at = TopicPartition(topic, 0)
    await world.create(topic)
    listener = BookkeepingListener()
    source = await started(stack, world.source("g", only(topic)), listener)
    await take_until(source, lambda: bool(listener.assigned))
    source.pause(at)
    for number in range(30):
        await world.append(topic, b"%d" % number)
    await world.delete_before(at, 20)
    source.resume(at)

    taken = await take_some(source, 10)

    assert [record.offset for record in taken] == list(range(20, 30))
    assert listener.book == [
        ("assigned", {at: 0}),
        ("lost", [at]),
        ("gap", (at, 0, 20)),
        ("assigned", {at: 20}),
    ]


@pytest.mark.parametrize(
    ("position", "offsets"), [("earliest", [0, 1]), ("latest", []), ("time", [0, 1])]
)
async def test_lost_offsets_stop_a_partition_until_a_position_is_named(
    world: World, stack: AsyncExitStack, position: str, offsets: list[int]
) -> None:
    """Only a person can know what was settled: neither end of the log is a safe guess."""
    topic = f"{world.prefix}.events"
    at = TopicPartition(topic, 0)
    await world.create(topic)
    before = world.now() - HOUR
    await world.append(topic, b"0")
    await world.append(topic, b"1")
    listener = BookkeepingListener()
    wanted = StartPolicy(wanted_from=lambda _: before, wait=lambda _: 0, grace=-HOUR)
    source = await started(stack, world.source("g", only(topic), wanted), listener)
    await take_until(source, lambda: bool(source.stopped))
    assert not await source.take(10)
    assert await world.committed("g", at) is None

    source.start_partition(at, before if position == "time" else position)
    taken = await take_some(source, len(offsets) or 1, seconds=30 if offsets else 3)

    assert [r.offset for r in taken] == offsets
    assert source.stopped == {}
    assert [name for name, _ in listener.book] == ["stopped", "assigned"]
    assert await world.committed("g", at) == (2 if position == "latest" else 0)


async def test_a_commit_beyond_the_log_s_end_stops_the_partition(
    world: World, stack: AsyncExitStack
) -> None:
    """The topic was created again: other events have those offsets now."""
    topic = f"{world.prefix}.events"
    at = TopicPartition(topic, 0)
    await world.create(topic)
    await world.append(topic, b"0")
    await world.commit("g", at, 7)
    source = await started(stack, world.source("g", only(topic)), BookkeepingListener())

    await take_until(source, lambda: bool(source.stopped))

    assert "beyond the log's end 1" in source.stopped[at]
    assert await world.committed("g", at) == 7


async def test_old_records_without_a_subscription_do_not_stop_a_first_start(
    world: World, stack: AsyncExitStack
) -> None:
    topic = f"{world.prefix}.events"
    await world.create(topic)
    await world.append(topic, b"0")
    later = world.now() + DAY
    wanted = StartPolicy(wanted_from=lambda _: later, wait=lambda _: 0, grace=-2 * DAY)
    source = await started(stack, world.source("g", only(topic), wanted), BookkeepingListener())

    taken = await take_some(source, 1)

    assert [r.offset for r in taken] == [0]
    assert source.stopped == {}


async def test_a_new_topic_is_read_once_it_is_looked_up(
    world: World, stack: AsyncExitStack
) -> None:
    await world.create(f"{world.prefix}.events.one")
    listener = BookkeepingListener()
    prefix = f"{world.prefix}.events."
    source = await started(
        stack,
        world.source("g", lambda topics: [t for t in topics if t.startswith(prefix)]),
        listener,
    )
    await take_until(source, lambda: len(listener.assigned) == 1)
    assert source.exist == 1

    await world.create(f"{prefix}two")
    await world.append(f"{prefix}two", b"new")
    source.refresh_now()
    taken = await take_some(source, 1)

    assert [(r.topic, r.value) for r in taken] == [(f"{prefix}two", b"new")]
    assert source.exist == 2


async def test_a_partition_that_is_added_is_read_from_its_start_once_it_is_looked_up(
    world: World, stack: AsyncExitStack
) -> None:
    topic = f"{world.prefix}.events"
    await world.create(topic)
    listener = BookkeepingListener()
    source = await started(stack, world.source("g", only(topic)), listener)
    await take_until(source, lambda: len(listener.assigned) == 1)

    await world.add_partitions(topic, 3)
    await world.append(topic, b"before it was found", partition=2)
    source.refresh_now()
    taken = await take_some(source, 1)

    assert [(r.partition, r.value) for r in taken] == [(2, b"before it was found")]
    assert source.exist == 3


async def test_a_source_without_topics_waits_for_one(world: World, stack: AsyncExitStack) -> None:
    topic = f"{world.prefix}.events"
    source = await started(stack, world.source("g", only(topic)), BookkeepingListener())
    assert not await source.take(10)

    await world.create(topic)
    await world.append(topic, b"first")
    source.refresh_now()
    taken = await take_some(source, 1)

    assert [r.value for r in taken] == [b"first"]
