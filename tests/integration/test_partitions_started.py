"""A command about a partition reports its result, and changes nothing if the partition is not stopped."""

import contextlib

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from tests.conftest import Broker
from tests.integration.definitions_world import World, make_world

from hookstream.adapters.tables.holds_and_skips import read_start
from hookstream.core.model.record import TopicPartition as Place
from hookstream.entry.admin.partitions import ReadPartition, ReadPartitions
from hookstream.settings.load import load


@pytest.fixture
def world(
    broker: Broker,
    prefix: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    return make_world(broker, prefix, capsys, monkeypatch)


EVENTS = "printprice.order.generated"


def events_in(world: World, partition: int, records: int) -> None:
    """Have an event topic of four partitions, with records in one of them."""
    admin = AdminClient(dict(world.client))
    with contextlib.suppress(KafkaException):
        admin.create_topics([NewTopic(EVENTS, 4, 1)])[EVENTS].result(30)
    producer = Producer(dict(world.client))
    for _ in range(records):
        producer.produce(EVENTS, b"event", partition=partition)
    assert producer.flush(10) == 0


def test_a_stopped_partition_is_given_a_start(world: World) -> None:
    events_in(world, 3, 2)
    place = f"{EVENTS}/3"
    ended = world.run("partition", "start", place, "--at", "earliest", "--wait", "0")
    assert ended.code == 0
    assert world.appended(world.names.operations) == 1
    ended = world.run("partition", "start", place, "--at", "2026-01-01T00:00:00Z", "--wait", "0.1")
    assert ended.code == 1
    assert "did not resume within" in ended.err
    assert "assigned to nobody" in ended.err
    row = world.state().rows[world.names.subscriptions][f"start/{place}"]
    assert row.value is not None
    asked = read_start(f"start/{place}", row.value)
    assert (asked.topic, asked.partition, asked.at, asked.revision) == (
        EVENTS,
        3,
        1_767_225_600_000,
        2,
    )


def test_a_record_that_stops_nothing_is_not_reported_as_skipped(world: World) -> None:
    events_in(world, 2, 2)
    ends = world.run("partition", "skip", f"{EVENTS}/2", "1000000")
    assert (ends.code, "there is no record at 1000000" in ends.err) == (2, True)
    gone = world.run("partition", "skip", "printprice.order.generatd/2", "0")
    assert (gone.code, f"did you mean {EVENTS}?" in gone.err) == (2, True)
    nobody = world.run("partition", "skip", f"{EVENTS}/2", "0", "--wait", "0.1")
    assert (nobody.code, "did not resume within" in nobody.err) == (1, True)
    published = world.appended(world.names.operations)
    commit(world, f"{EVENTS}", 2, 1)

    settled = world.run("partition", "skip", f"{EVENTS}/2", "0")

    assert (settled.code, "it is settled" in settled.err) == (1, True)
    assert world.appended(world.names.operations) == published


@pytest.mark.parametrize("arguments", [("start", "--at", "earliest"), ("skip", "0")])
def test_a_topic_that_hookstream_does_not_read_is_refused_at_once(
    world: World, arguments: tuple[str, ...]
) -> None:
    """No worker would ever take the request up, and that could not be reported afterwards."""
    events_in(world, 0, 1)
    command, *rest = arguments

    unknown = world.run("partition", command, f"{world.names.partners}/0", *rest)
    misspelt = world.run("partition", command, "printprice.order.generatd/0", *rest)

    assert (unknown.code, misspelt.code) == (2, 2)
    assert f"hookstream does not read {world.names.partners}" in unknown.err
    assert f"there is no topic printprice.order.generatd (did you mean {EVENTS}?)" in misspelt.err
    assert world.appended(world.names.operations) == 0
    assert world.state().rows[world.names.subscriptions] == {}


def test_a_skip_reports_the_request_and_when_the_partition_resumes(world: World) -> None:
    events_in(world, 1, 1)
    ended = world.run("partition", "skip", f"{EVENTS}/1", "0", "--wait", "0")
    assert (ended.code, ended.err) == (
        0,
        f"Skipped {EVENTS}/1 offset 0. The partition resumes if that record was blocking it.\n",
    )


def test_a_console_says_of_one_partition_what_it_says_of_it_among_all(world: World) -> None:
    """What is not settled decides whether its page offers a remedy."""
    events_in(world, 1, 3)
    servers = world.client["bootstrap.servers"]
    flags = {"kafka.bootstrap_servers": servers, "topics.prefix": world.names.prefix}
    settings, at = load(None, {}, flags), Place(EVENTS, 1)
    # Other tests have records there, too.
    commit(world, EVENTS, 1, ReadPartition(settings, at).position().end - 2)

    shown = ReadPartition(settings, at).shown()

    assert [shown] == [each for each in ReadPartitions(settings).positions() if each.at == at]
    assert (shown.unsettled, shown.oldest is None) == (2, False)


def commit(world: World, topic: str, partition: int, offset: int) -> None:
    """Commit an offset as the group of the workers would."""
    consumer = Consumer({**world.client, "group.id": world.names.group})
    consumer.commit(offsets=[TopicPartition(topic, partition, offset)], asynchronous=False)
    consumer.close()
