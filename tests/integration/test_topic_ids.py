"""Topics have an id of their own on a real broker, and another one once they are created again."""

import asyncio

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from tests.conftest import Broker
from tests.doubles.logger import BookkeepingLogger

from hookstream.adapters.kafka.topic_ids import KafkaTopicIds, topic_id_of
from hookstream.adapters.system import SystemClock

pytestmark = pytest.mark.timeout(400)


def create(admin: AdminClient, topic: str) -> None:
    for _ in range(100):
        try:
            admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(30)
        except KafkaException:
            # The broker has not finished to delete the one before.
            continue
        return


def test_a_topic_has_an_id_and_another_once_it_is_created_again(
    broker: Broker, prefix: str
) -> None:
    client = {"bootstrap.servers": broker.bootstrap_servers}
    admin = AdminClient(dict(client))
    topic, other = f"{prefix}.one", f"{prefix}.two"
    create(admin, topic)
    create(admin, other)
    first, second = await_id(admin, topic), await_id(admin, other)
    assert len(first) == len(second) == 16
    assert first != second
    ids = KafkaTopicIds(client, BookkeepingLogger(), SystemClock())
    assert asyncio.run(ids.find(topic)) == first
    admin.delete_topics([topic])[topic].result(30)
    create(admin, topic)
    assert await_id(admin, topic, not_=first) not in (first, second)
    assert asyncio.run(ids.find(f"{prefix}.none")) is None


def await_id(admin: AdminClient, topic: str, not_: bytes | None = None) -> bytes:
    """Return a topic's id once the broker has caught up with its controller."""
    found = (topic_id_of(admin, topic) for _ in range(1000))
    return next(each for each in found if each is not None and each != not_)
