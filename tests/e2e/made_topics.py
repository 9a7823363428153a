"""The topics that commands made for a world, made again under another prefix by two requests."""

import time
from contextlib import suppress
from dataclasses import dataclass

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    ConfigSource,
    NewTopic,
)
from examples.demo.log import Entry, Log

_SECONDS = 60
"""For each answer of a broker."""


@dataclass(frozen=True)
class _Topic:
    name: str
    """Without the prefix."""
    partitions: int
    config: dict[str, str]


@dataclass(frozen=True)
class MadeTopics:
    """Topics of hookstream, with what is in them."""

    topics: tuple[_Topic, ...]
    records: tuple[Entry, ...]

    def make(self, servers: str, prefix: str) -> None:
        """Make them under a prefix."""
        admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
        made = admin.create_topics(
            [
                NewTopic(f"{prefix}.{each.name}", each.partitions, 1, config=each.config)
                for each in self.topics
            ]
        )
        for one in made.values():
            one.result(_SECONDS)
        producer = Producer({"bootstrap.servers": servers, "log_level": 0})
        for each in self.records:
            topic = f"{prefix}.{each.topic.partition('.')[2]}"
            producer.produce(
                topic, each.value, each.key, each.partition, headers=[*each.headers.items()]
            )
        assert producer.flush(_SECONDS) == 0
        self._wait_until_led(servers, prefix)

    def _wait_until_led(self, servers: str, prefix: str) -> None:
        """Wait for the new partitions: the broker answers before it leads them."""
        names = [f"{prefix}.{each.name}" for each in self.topics]
        count = sum(each.partitions for each in self.topics)
        deadline = time.monotonic() + _SECONDS
        log = Log(servers)
        while True:
            with suppress(KafkaException):
                if len(log.ends(names)) == count:
                    return
            assert time.monotonic() < deadline, f"nobody leads {names}"
            time.sleep(0.02)


def made_topics(servers: str, prefix: str, *, without: str) -> MadeTopics:
    """Return what there is under a prefix.

    Args:
        servers: The broker.
        prefix: That of the topics.
        without: A topic that is none of hookstream's.
    """
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    found = admin.list_topics(timeout=_SECONDS).topics
    names = [name for name in found if name.startswith(f"{prefix}.") and name != without]
    resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in names]
    configs = {
        resource.name: {
            name: entry.value
            for name, entry in answer.result(_SECONDS).items()
            if entry.source == ConfigSource.DYNAMIC_TOPIC_CONFIG.value
        }
        for resource, answer in admin.describe_configs(resources).items()
    }
    written = Log(servers).read(*names)
    # What names its prefix would mean something else under another.
    about_itself = [each.key for each in written if prefix.encode() in (each.value or b"")]
    assert not about_itself, about_itself
    return MadeTopics(
        tuple(
            _Topic(name.removeprefix(f"{prefix}."), len(found[name].partitions), configs[name])
            for name in names
        ),
        tuple(written),
    )
