"""Topics on a real broker: planned, applied, and then as planned."""

import time
from collections.abc import Callable, Iterable

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from tests.conftest import Broker
from tests.executor_processes import until

from hookstream.adapters.kafka.lookups import LOOKUPS
from hookstream.adapters.kafka.scan import LogScan, ScanBounds
from hookstream.adapters.kafka.topics import KafkaTopics
from hookstream.core.model.instant import DAY, SECOND
from hookstream.core.model.topics import Topics
from hookstream.core.topology.plan import Configure, Existing, plan, wanted_topics
from hookstream.errors import ConfigurationError, DependencyUnavailable

Client = dict[str, str | int | float | bool]


@pytest.fixture
def client(broker: Broker) -> Client:
    return {"bootstrap.servers": broker.bootstrap_servers}


def caught_up(
    cluster: KafkaTopics, condition: Callable[[dict[str, Existing]], bool]
) -> dict[str, Existing]:
    """Return what the broker shows once it has caught up with its controller."""
    return next(
        existing
        for existing in (cluster.existing(sorted) for _ in range(500))
        if condition(existing)
    )


def test_a_plan_that_was_applied_leaves_nothing_to_do(client: Client, prefix: str) -> None:
    event = f"events.{prefix}"
    admin = AdminClient(client)  # its futures end with it
    admin.create_topics([NewTopic(event, 1, 1)])[event].result(30)
    wanted = wanted_topics(Topics(prefix), (0, 5 * SECOND), partitions=2, largest_event=2_000_000)
    cluster = KafkaTopics(client)

    cluster.apply(plan(wanted, [event], cluster.existing(sorted)), replication=1)
    existing = caught_up(cluster, lambda existing: not plan(wanted, [event], existing))

    assert existing[event].config["message.timestamp.type"] == "LogAppendTime"
    tier = existing[f"{prefix}.retry.5s"]
    assert tier.partitions == 2
    assert tier.config["retention.ms"] == str(14 * DAY)
    assert tier.config["max.message.bytes"] == "2065536"
    assert existing[f"{prefix}.attempts"].config["compression.type"] == "zstd"


def test_a_topic_that_was_deleted_and_made_again_is_looked_up_as_it_is_now(
    client: Client, prefix: str
) -> None:
    """The client of look-ups lives on: it knew the topic's first partition and its leader."""
    name = f"{prefix}.again"
    admin, producer = AdminClient(client), Producer(client)
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(30)
    producer.produce(name, b"first")
    producer.flush(30)
    assert LogScan(client, name).bounds() == {0: ScanBounds(0, 1)}

    admin.delete_topics([name])[name].result(30)
    made_again(admin, name, partitions=2)

    assert LogScan(client, name).bounds() == {0: ScanBounds(0, 0), 1: ScanBounds(0, 0)}
    assert LOOKUPS.client(client) is LOOKUPS.client(dict(client))


def made_again(admin: AdminClient, name: str, *, partitions: int) -> None:
    """Make a topic whose deletion may not be complete, and wait until its broker knows it."""

    def made() -> bool:
        try:
            admin.create_topics([NewTopic(name, partitions, 1)])[name].result(30)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
            return False
        return True

    until(made, f"{name} is still being deleted")
    until_known(admin, name, partitions)


def until_known(admin: AdminClient, name: str, partitions: int) -> None:
    """Wait until the broker knows a topic that its controller has made."""

    def known() -> bool:
        return len(admin.list_topics(name, timeout=30).topics[name].partitions) == partitions

    until(known, f"{name} has other partitions")


def test_a_topic_that_is_deleted_while_topics_are_read_is_left_out(
    client: Client, prefix: str
) -> None:
    names = [f"{prefix}.gone", f"{prefix}.stays"]
    admin = AdminClient(client)
    for made in admin.create_topics([NewTopic(name, 1, 1) for name in names]).values():
        made.result(30)
    for name in names:
        until_known(admin, name, partitions=1)

    def pick(_: Iterable[str]) -> list[str]:
        admin.delete_topics(names[:1])[names[0]].result(30)
        deadline = time.monotonic() + 60
        while names[0] in admin.list_topics(timeout=10).topics:
            assert time.monotonic() < deadline
        return names

    assert [*KafkaTopics(client).existing(pick)] == names[1:]


def test_new_topics_have_leaders_when_apply_returns(client: Client, prefix: str) -> None:
    """The next command reads and writes them."""
    wanted = wanted_topics(Topics(prefix), (), partitions=20, largest_event=1_000_000)
    KafkaTopics(client).apply(plan(wanted, (), {}), replication=1)
    found = AdminClient(client).list_topics(timeout=10).topics
    leaders = [
        partition.leader >= 0
        for topic in wanted
        for partition in found[topic.name].partitions.values()
    ]
    assert leaders == [True] * sum(topic.partitions for topic in wanted)


def test_creating_what_was_just_created_is_not_an_error(client: Client, prefix: str) -> None:
    wanted = wanted_topics(Topics(prefix), (), partitions=1, largest_event=1_000_000)
    cluster = KafkaTopics(client)
    changes = plan(wanted, (), {})
    cluster.apply(changes[:1], replication=1)

    cluster.apply(changes[:2], replication=1)

    assert caught_up(cluster, lambda existing: {t.name for t in wanted[:2]} <= existing.keys())


def test_a_change_of_a_topic_that_is_gone_is_refused(client: Client, prefix: str) -> None:
    change = Configure(f"{prefix}.none", "retention.ms", "1", "1000")

    with pytest.raises(ConfigurationError, match="UNKNOWN_TOPIC_OR_PART"):
        KafkaTopics(client).apply([change], replication=1)


def test_more_replicas_than_brokers_are_refused(client: Client, prefix: str) -> None:
    wanted = wanted_topics(Topics(prefix), (), partitions=1, largest_event=1_000_000)

    with pytest.raises((ConfigurationError, DependencyUnavailable), match=r"[Rr]eplication"):
        KafkaTopics(client).apply(plan(wanted[:1], (), {}), replication=3)
