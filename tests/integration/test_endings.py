"""The ends of deliveries are read from the one partition of the audit log that has them."""

import asyncio
import time

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from tests.conftest import Broker

from hookstream.adapters.kafka.endings import KafkaEndings, followed
from hookstream.adapters.kafka.key_partition import partition_of_key
from hookstream.adapters.system import SystemClock
from hookstream.core.model.record import Record
from hookstream.core.replay.outstanding import Place

Client = dict[str, str | int | float | bool]
KEYS = [f"sub-{number}".encode() for number in range(40)]
MINE = KEYS[3]


@pytest.fixture
def client(broker: Broker) -> Client:
    return {"bootstrap.servers": broker.bootstrap_servers}


@pytest.fixture
def topic(client: Client, prefix: str) -> str:
    name = f"{prefix}.attempts"
    admin = AdminClient(client)  # its futures end with it
    for made in admin.create_topics([NewTopic(name, 7, 1)]).values():
        made.result(30)
    while admin.list_topics(name, timeout=10).topics[name].error is not None:
        time.sleep(0.05)  # the broker answers before all of it knows the topic
    return name


def append(client: Client, topic: str, values: range) -> dict[bytes, int]:
    """Write records with every key as workers do, and return each key's partition."""
    producer = Producer(client | {"partitioner": "murmur2_random", "linger.ms": 0})
    reported: dict[bytes, int] = {}

    def acknowledged(error: object, record: object) -> None:
        assert error is None
        reported[record.key()] = record.partition()  # type: ignore[attr-defined]

    for value in values:
        for key in KEYS:
            producer.produce(topic, str(value).encode(), key, on_delivery=acknowledged)
    assert producer.flush(10) == 0
    return reported


def ended(record: Record) -> Place:
    return Place("a", 0, int(record.value or b""))


async def until_found(endings: KafkaEndings, count: int, *, gap: bool = False) -> set[Place]:
    """Read until so many deliveries ended, and a gap was noticed if there is one."""
    found: set[Place] = set()
    async with asyncio.timeout(60):
        while len(found) < count or gap:
            taken = await endings.take()
            found |= {*taken.places}
            assert gap or not taken.gap
            gap = gap and not taken.gap
            await asyncio.sleep(0.02)
    return found


async def test_the_partition_of_a_subscription_is_followed_from_its_end_or_from_where_it_was_left(
    client: Client, topic: str
) -> None:
    placed = await asyncio.to_thread(append, client, topic, range(1))
    assert placed == {key: partition_of_key(key, 7) for key in KEYS}
    async with followed(client, topic, MINE, ended, None, SystemClock()) as endings:
        begin = dict((await endings.take()).positions)
        assert [*begin] == [partition_of_key(MINE, 7)]
        await asyncio.to_thread(append, client, topic, range(1, 6))
        assert await until_found(endings, 5) == {Place("a", 0, value) for value in range(1, 6)}
    async with followed(client, topic, MINE, ended, begin, SystemClock()) as again:
        assert await until_found(again, 5) == {Place("a", 0, value) for value in range(1, 6)}


async def test_all_partitions_are_followed_where_workers_place_keys_by_another_rule(
    client: Client, topic: str
) -> None:
    other = client | {"partitioner": "consistent_random"}
    async with followed(other, topic, MINE, ended, None, SystemClock()) as endings:
        assert len((await endings.take()).positions) == 7
        await asyncio.to_thread(append, client, topic, range(2))
        assert len(await until_found(endings, 2)) == 2


async def test_records_that_retention_took_are_a_gap(client: Client, topic: str) -> None:
    await asyncio.to_thread(append, client, topic, range(3))
    number = partition_of_key(MINE, 7)
    behind = {number: 10**6}
    async with followed(client, topic, MINE, ended, behind, SystemClock()) as endings:
        assert len(await until_found(endings, 3, gap=True)) == 3
