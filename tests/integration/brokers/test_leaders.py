"""What a client reads of partitions whose leader is gone, or is another one with another log."""

import asyncio
import time

from confluent_kafka import Consumer, KafkaError, Producer
from confluent_kafka import TopicPartition as KafkaPartition
from tests.doubles.broker import FROM_THE_START
from tests.doubles.listener import BookkeepingListener
from tests.doubles.logger import BookkeepingLogger
from tests.doubles.mock_cluster import MockCluster

from hookstream.adapters.kafka.consumer import KafkaSource
from hookstream.adapters.kafka.consumer_thread import cut_of
from hookstream.adapters.kafka.groups import KafkaGroups
from hookstream.adapters.system import SystemClock
from hookstream.core.model.record import TopicPartition
from hookstream.core.offsets.commit_metadata import CommitPosition
from hookstream.core.offsets.group_position import GroupMember


def filled(topic: str, partitions: int, records: int) -> MockCluster:
    """A cluster with a topic that has so many records in each partition."""
    cluster = MockCluster()
    cluster.create(topic, partitions)
    producer = Producer({"bootstrap.servers": cluster.servers})
    for partition in range(partitions):
        for n in range(records):
            producer.produce(topic, b"%d" % n, partition=partition)
    assert producer.flush(10) == 0
    return cluster


async def test_the_partitions_that_have_a_leader_are_read_and_the_other_once_it_has_one() -> None:
    cluster = filled("t", 4, 1)
    cluster.lead("t", 3)
    source = KafkaSource(
        {"bootstrap.servers": cluster.servers},
        "g",
        protocol="classic",
        instance_id=None,
        topics=lambda names: [name for name in names if name == "t"],
        starts=FROM_THE_START,
        logger=BookkeepingLogger(),
        clock=SystemClock(),
    )
    await source.start(BookkeepingListener())
    read: list[int] = []
    async with asyncio.timeout(60):
        while len(read) < 3:
            read += [record.partition for record in await source.take(10)]
        assert sorted(read) == [0, 1, 2]
        cluster.lead("t", 3, 1)
        while len(read) < 4:
            read += [record.partition for record in await source.take(10)]
    assert read[3:] == [3]
    await source.close(5)


class UncommittedGroups(KafkaGroups):
    """Groups of a mock cluster, which cannot describe one: no member, no commit."""

    def _members(self, _: str) -> dict[TopicPartition, GroupMember]:
        return {}

    def _committed(self, _: str) -> dict[TopicPartition, CommitPosition]:
        return {}


def test_a_partition_without_a_leader_hides_the_position_in_no_other() -> None:
    cluster = filled("t", 3, 2)
    cluster.lead("t", 1)
    groups = UncommittedGroups({"bootstrap.servers": cluster.servers})
    every = [TopicPartition("t", partition) for partition in range(3)]

    found = groups.positions("g", every)
    assert [(each.has_leader, each.unsettled) for each in found] == [
        (True, 2),
        (False, 0),
        (True, 2),
    ]
    assert groups.led_offsets_at(every, "latest") == {every[0]: 2, every[2]: 2}
    cluster.lead("t", 1, 1)
    assert groups.led_offsets_at(every, "latest") == dict.fromkeys(every, 2)


def test_a_client_says_where_another_leaders_log_was_cut() -> None:
    """By its text alone: a release of the library that words it in another way fails here."""
    cluster = filled("t", 1, 10)
    cluster.lead("t", 0, 1)
    client = {"bootstrap.servers": cluster.servers, "group.id": "g", "auto.offset.reset": "error"}
    consumer = Consumer(client)
    consumer.assign([KafkaPartition("t", 0, 9)])
    until = time.monotonic() + 60
    while consumer.poll(0.2) is None:
        assert time.monotonic() < until
    cluster.lead("t", 0, 2)
    consumer.seek(KafkaPartition("t", 0, 30, leader_epoch=0))
    cuts: list[int | None] = []
    while not cuts:
        assert time.monotonic() < until
        came = consumer.poll(0.2)
        error = None if came is None else came.error()
        if error is not None and error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001
            cuts.append(cut_of(error))
    consumer.close()
    assert cuts == [10]
