"""A range of a real topic is read once, to the end that it had, without a group."""

import time
from itertools import islice

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from tests.conftest import Broker

from hookstream.adapters.kafka.scan import LogScan, ScanBounds, Stretch
from hookstream.core.model.record import Record
from hookstream.errors import ConfigurationError

Client = dict[str, str | int | float | bool]


@pytest.fixture
def client(broker: Broker) -> Client:
    return {"bootstrap.servers": broker.bootstrap_servers}


@pytest.fixture
def topic(client: Client, prefix: str) -> str:
    name = f"{prefix}.letters"
    config = {"message.timestamp.type": "LogAppendTime"}
    admin = AdminClient(client)  # its futures end with it
    for made in admin.create_topics([NewTopic(name, 2, 1, config=config)]).values():
        made.result(30)
    while admin.list_topics(name, timeout=10).topics[name].error is not None:
        time.sleep(0.05)  # the broker answers before all of it knows the topic
    return name


def append(client: Client, topic: str, partition: int, *values: bytes | None) -> None:
    producer = Producer(client)
    for value in values:
        producer.produce(topic, value, b"k", partition, headers=[("hs-reason", b"gone")])
    assert producer.flush(10) == 0


def values(records: list[Record]) -> list[tuple[int, int, bytes | None]]:
    return sorted((record.partition, record.offset, record.value) for record in records)


def test_every_record_is_read_once_with_its_headers(client: Client, topic: str) -> None:
    append(client, topic, 0, b"a", None)
    append(client, topic, 1, b"c")
    reported: list[tuple[int, int]] = []
    records = list(LogScan(client, topic).read(progress=lambda *at: reported.append(at)))
    assert values(records) == [(0, 0, b"a"), (0, 1, None), (1, 0, b"c")]
    assert all(r.headers == [("hs-reason", b"gone")] and r.append_time for r in records)
    assert reported[-1] == (3, 3)


def test_an_empty_topic_has_nothing_to_read(client: Client, topic: str) -> None:
    scan = LogScan(client, topic)
    assert (scan.bounds(), list(scan.read())) == ({0: ScanBounds(0, 0), 1: ScanBounds(0, 0)}, [])


def test_what_is_appended_after_the_end_is_left_out(client: Client, topic: str) -> None:
    append(client, topic, 0, b"a")
    append(client, topic, 1, b"b")
    scan = LogScan(client, topic)
    ends = {partition: bounds.end for partition, bounds in scan.bounds().items()}
    append(client, topic, 0, b"late")
    assert values(list(scan.read(Stretch(ends=ends)))) == [(0, 0, b"a"), (1, 0, b"b")]


def test_a_range_may_be_bounded_by_offsets_and_by_times(client: Client, topic: str) -> None:
    append(client, topic, 0, b"old", b"older than the cut")
    time.sleep(0.05)  # the broker's own clock has to move on
    append(client, topic, 0, b"new")
    scan = LogScan(client, topic)
    cut = scan.at(0, 2)
    assert cut is not None
    assert [
        values(list(scan.read(Stretch(since=cut.timestamp)))),
        values(list(scan.read(Stretch(until=cut.timestamp, starts={0: 1})))),
        values(list(scan.read(Stretch(since=cut.timestamp + 60_000)))),
    ] == [[(0, 2, b"new")], [(0, 1, b"older than the cut")], []]


def test_a_trailing_transaction_marker_does_not_delay_the_end(client: Client, topic: str) -> None:
    """A marker takes an offset and is never returned."""
    producer = Producer(client | {"transactional.id": topic})
    producer.init_transactions(10)
    producer.begin_transaction()
    producer.produce(topic, b"a", partition=0)
    producer.commit_transaction(10)
    scan = LogScan(client, topic, timeout=5)
    assert values(list(scan.read())) == [(0, 0, b"a")]
    assert scan.bounds()[0] == ScanBounds(0, 2)


def test_one_record_is_read_by_its_place(client: Client, topic: str) -> None:
    append(client, topic, 1, b"a", b"b")
    scan = LogScan(client, topic)
    found = [scan.at(1, offset) for offset in (1, 2)]
    assert [record and record.value for record in found] == [b"b", None]


def test_following_continues_after_the_end(client: Client, topic: str) -> None:
    append(client, topic, 0, b"a")
    reading = LogScan(client, topic).read(follow=True)
    first = list(islice(reading, 1))
    append(client, topic, 1, b"b")
    assert values(first + list(islice(reading, 1))) == [(0, 0, b"a"), (1, 0, b"b")]


def test_a_missing_topic_is_reported_with_the_command_that_creates_it(
    client: Client, prefix: str
) -> None:
    with pytest.raises(ConfigurationError, match="hookstream topics apply"):
        LogScan(client, f"{prefix}.nowhere").bounds()


def test_the_oldest_record_is_the_first_that_retention_left(client: Client, topic: str) -> None:
    append(client, topic, 0, b"gone", b"oldest", b"newer")
    there = TopicPartition(topic, 0, 1)
    admin = AdminClient(client)  # its futures end with it
    [deleted] = admin.delete_records([there]).values()
    deleted.result(30)
    scan = LogScan(client, topic)
    found = scan.oldest(0)
    assert found is not None
    assert (found.offset, found.value) == (1, b"oldest")
    assert (scan.oldest(1), scan.oldest(7)) == (None, None)
