"""The source on a real broker, beyond the contract: rest, cancellation, offsets that vanish."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable

import pytest
from confluent_kafka import Producer
from tests.conftest import Broker
from tests.contracts.source_worlds import KafkaWorld, Source, only, take_some, take_until
from tests.doubles.broker import FROM_THE_START
from tests.doubles.listener import BookkeepingListener
from tests.doubles.logger import BookkeepingLogger

from hookstream.adapters.kafka.consumer import KafkaSource
from hookstream.adapters.kafka.groups import KafkaGroups
from hookstream.adapters.system import SystemClock
from hookstream.core.model.record import TopicPartition
from hookstream.core.offsets.commit_metadata import CommitPosition
from hookstream.errors import ConfigurationError, InvariantBroken


@pytest.fixture(params=["consumer", "classic"])
def world(request: pytest.FixtureRequest, broker: Broker, prefix: str) -> KafkaWorld:
    return KafkaWorld(broker.bootstrap_servers, prefix, request.param)


@pytest.fixture
async def topic(world: KafkaWorld) -> str:
    topic = f"{world.prefix}.events"
    await world.create(topic)
    return topic


@pytest.fixture
def listener() -> BookkeepingListener:
    return BookkeepingListener()


@pytest.fixture
async def source(
    world: KafkaWorld, topic: str, listener: BookkeepingListener
) -> AsyncIterator[Source]:
    source = world.source("g", only(topic))
    await source.start(listener)
    yield source
    await source.close()


async def eventually(condition: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - a broker sets no asyncio.Event
            await asyncio.sleep(0.02)


async def test_a_member_without_requests_still_joins_and_loses_nothing(
    world: KafkaWorld, topic: str, source: Source, listener: BookkeepingListener
) -> None:
    """Credit may be used up for minutes: the group must not expel the member meanwhile."""
    await eventually(lambda: bool(listener.assigned))
    for number in range(10):
        await world.append(topic, b"%d" % number)
    assert [r.offset for r in await take_some(source, 5)][:5] == [0, 1, 2, 3, 4]
    await asyncio.sleep(2)  # it is idle after one second

    await world.append(topic, b"10")
    taken = await take_some(source, 1)

    assert taken[-1].offset == 10
    assert [name for name, _ in listener.book] == ["assigned"]


async def test_a_member_that_takes_nothing_releases_partitions_when_another_joins(
    world: KafkaWorld, listener: BookkeepingListener
) -> None:
    topic = f"{world.prefix}.wide"
    await world.create(topic, partitions=2)

    one = world.source("w", only(topic))
    await one.start(listener)
    await eventually(lambda: len(listener.assigned) == 2)
    theirs = BookkeepingListener()
    two = world.source("w", only(topic))
    await two.start(theirs)

    await eventually(lambda: len(listener.assigned) == 1 and len(theirs.assigned) == 1)

    await two.close()
    await one.close()


async def test_a_partition_that_is_paused_and_resumed_all_the_time_moves(
    world: KafkaWorld, listener: BookkeepingListener
) -> None:
    """The client's poll waits for the loop then, and the loop must not wait for the client."""
    topic = f"{world.prefix}.wide"
    await world.create(topic, partitions=2)
    theirs = BookkeepingListener()
    one, two = (world.source("w", only(topic)) for _ in range(2))

    async def pause_and_resume() -> None:
        while not theirs.assigned:
            for number in range(2):
                one.pause(TopicPartition(topic, number))
                one.resume(TopicPartition(topic, number))
            await asyncio.sleep(0.01)

    await one.start(listener)
    await take_until(one, lambda: len(listener.assigned) == 2, 60)
    await two.start(theirs)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(pause_and_resume())
        await take_until(one, lambda: bool(theirs.assigned), 60)

    assert len(listener.assigned) == len(theirs.assigned) == 1
    await two.close()
    await one.close()


async def test_a_member_that_closes_just_after_another_leaves_has_committed(
    world: KafkaWorld, broker: Broker
) -> None:
    """Its client has an assignment to report by then, and leaves before it reports the revocation.

    A commit after the leave is refused; now and then an assertion of the client ended the process.
    """
    topic, group = f"{world.prefix}.wide", f"{world.prefix}.w"
    await world.create(topic, partitions=2)
    held, free = threading.Event(), threading.Event()
    free.set()

    def pick(topics: Iterable[str]) -> list[str]:
        if not free.is_set():
            held.set()
            free.wait(120)
        return only(topic)(topics)

    ours, theirs = BookkeepingListener(), BookkeepingListener()
    one, two = world.source("w", pick), world.source("w", only(topic))
    await one.start(ours)
    await take_until(one, lambda: len(ours.assigned) == 2, 60)
    await two.start(theirs)
    await take_until(one, lambda: bool(theirs.assigned), 60)
    [stays] = ours.assigned
    ours.settled = {stays: CommitPosition(3)}
    free.clear()
    one.refresh_now()
    await eventually(held.is_set, 60)

    await two.close()
    groups = KafkaGroups({"bootstrap.servers": broker.bootstrap_servers})
    async with asyncio.timeout(60):
        while len(await asyncio.to_thread(holders, groups, group, topic)) != 1:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    async with asyncio.TaskGroup() as tasks:
        closing = tasks.create_task(one.close())
        await asyncio.sleep(
            0
        )  # it is to end, before it is free to look at what the client reports
        free.set()

    assert closing.result()
    assert await world.committed("w", stays) == 3
    assert ours.book[-1] == ("revoked", [stays])


def holders(groups: KafkaGroups, group: str, topic: str) -> set[str | None]:
    """Return the ids of the members that have a topic's two partitions; None: nobody has one."""
    partitions = [TopicPartition(topic, number) for number in range(2)]
    found = groups.positions(group, partitions, oldest=False)
    return {each.holder.id if each.holder is not None else None for each in found}


async def test_partitions_that_stay_continue_while_others_move(world: KafkaWorld) -> None:
    """The group waits for a member that revokes, and the partitions that stay must not wait with it for long."""
    longest: list[float] = []
    while not longest or (min(longest) >= 2.0 and len(longest) < 6):
        longest.append(await longest_wait_of_what_stays(world, f"w{len(longest)}"))

    # The quickest of six at most: what else the machine does must not count.
    assert min(longest) < 2.0


async def longest_wait_of_what_stays(world: KafkaWorld, group: str) -> float:
    """Let a second member take two of four partitions; return the longest wait, in seconds, of the others."""
    topic = f"{world.prefix}.wide.{group}"
    await world.create(topic, partitions=4)
    listener = BookkeepingListener()
    listener.dawdle = 0.5
    one = world.source(group, only(topic))
    two = world.source(group, only(topic))
    late: dict[TopicPartition, list[float]] = {}

    async def take() -> None:
        while True:
            for record in await one.take(100):
                late.setdefault(record.where, []).append(time.time() - float(record.value or b""))

    await one.start(listener)
    await take_until(one, lambda: len(listener.assigned) == 4)
    async with asyncio.TaskGroup() as tasks:
        taking = tasks.create_task(take())
        for turn in range(60):
            if turn == 10:
                await two.start(BookkeepingListener())
            for number in range(4):
                await world.append(topic, b"%f" % time.time(), partition=number)
            await asyncio.sleep(0.05)
        await eventually(lambda: len(listener.assigned) == 2)
        await asyncio.sleep(1)
        taking.cancel()

    kept = {at: len(delays) for at, delays in late.items() if at in listener.assigned}
    assert kept == dict.fromkeys(listener.assigned, 60)
    await two.close()
    await one.close()
    return max(max(late[at]) for at in kept)


async def test_a_cancelled_take_loses_no_record(
    world: KafkaWorld, topic: str, source: Source, listener: BookkeepingListener
) -> None:
    await take_until(source, lambda: bool(listener.assigned))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await source.take(10)
    await world.append(topic, b"0")
    await asyncio.sleep(0.5)

    taken = await take_some(source, 1)

    assert [record.offset for record in taken] == [0]


async def test_a_transaction_that_upstream_left_open_is_measured(
    broker: Broker, world: KafkaWorld, topic: str, source: Source, listener: BookkeepingListener
) -> None:
    """What follows it must not be read, and no countable lag shows it."""
    assert isinstance(source, KafkaSource)
    await take_until(source, lambda: bool(listener.assigned))
    assert source.open_transaction_seconds() == 0.0
    producer = Producer(
        {"bootstrap.servers": broker.bootstrap_servers, "transactional.id": world.prefix}
    )

    def hang() -> None:
        producer.init_transactions(30)
        producer.begin_transaction()
        producer.produce(topic, b"hidden")
        producer.flush(10)

    await asyncio.to_thread(hang)
    await world.append(topic, b"behind")
    async with asyncio.timeout(60):
        while source.open_transaction_seconds() < 1:
            source.refresh_now()
            assert await source.take(10) == []

    await asyncio.to_thread(producer.commit_transaction, 30)

    assert len(await take_some(source, 2)) == 2
    source.refresh_now()
    async with asyncio.timeout(60):
        while source.open_transaction_seconds():
            source.refresh_now()
            await source.take(10)


async def test_a_source_that_is_not_trusted_commits_nothing_more_not_even_when_it_closes(
    world: KafkaWorld, topic: str, source: Source, listener: BookkeepingListener
) -> None:
    """What is settled is not known for certain once an invariant is violated: it is all delivered again."""
    assert isinstance(source, KafkaSource)
    at = TopicPartition(topic, 0)
    for number in range(4):
        await world.append(topic, b"%d" % number)
    await take_some(source, 4)
    source.commit({at: CommitPosition(1)})
    async with asyncio.timeout(60):
        while await world.committed("g", at) != 1:
            await source.take(1)

    source.distrust()
    source.commit({at: CommitPosition(3)})
    await source.take(1)
    listener.settled = {at: CommitPosition(4)}
    await source.close()

    assert await world.committed("g", at) == 1


async def test_a_listener_that_fails_ends_the_source(world: KafkaWorld, topic: str) -> None:
    """Otherwise its partitions would be read without being processed."""

    class Failing(BookkeepingListener):
        def on_assigned(self, positions: object) -> None:  # noqa: ARG002
            raise ValueError("no")

    source = world.source("f", only(topic))
    await source.start(Failing())

    with pytest.raises(InvariantBroken, match="ValueError"):
        await take_some(source, 1)
    await source.close()


async def test_a_group_is_left_within_seconds_when_the_broker_is_away() -> None:
    """A process must be able to end whatever the brokers do."""
    source = make_source("consumer", None, servers="127.0.0.1:1")
    await source.start(BookkeepingListener())
    assert not await source.take(10)

    async with asyncio.timeout(60):
        await source.close()


async def test_static_membership_needs_the_classic_protocol() -> None:
    with pytest.raises(ConfigurationError, match=r"needs kafka.group_protocol = 'classic'"):
        make_source("consumer", "worker-1")


async def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r'"eager".*group\.protocol'):
        make_source("eager", None)


async def test_settings_that_the_client_does_not_know_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"no\.such\.setting"):
        make_source("consumer", None, extra={"no.such.setting": 1})


def make_source(
    protocol: str,
    instance_id: str | None,
    servers: str = "127.0.0.1:1",
    extra: dict[str, str | int | float | bool] | None = None,
) -> KafkaSource:
    return KafkaSource(
        {"bootstrap.servers": servers, **(extra or {})},
        "g",
        protocol=protocol,
        instance_id=instance_id,
        topics=list,
        starts=FROM_THE_START,
        logger=BookkeepingLogger(),
        clock=SystemClock(),
    )
