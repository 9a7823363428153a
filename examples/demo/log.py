"""Reads the topics with a plain Kafka client and none of hookstream's code."""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import fastavro
from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # OffsetSpec is public
    AdminClient,
    OffsetSpec,
)
from confluent_kafka.cimpl import NewTopic
from examples.demo.parcels import SCHEMA

Place = tuple[str, int]


@dataclass(slots=True, frozen=True)
class Entry:
    """One record."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes
    value: bytes | None
    headers: dict[str, str]


class Log:
    """The topics of one run."""

    def __init__(self, servers: str) -> None:
        """Connect on first use."""
        self._servers: dict[str, str | int | float | bool] = {
            "bootstrap.servers": servers,
            "log_level": 0,
            # Half of it lies between the bootstrap address and the broker, for each client.
            "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 500,
        }
        self._admin = AdminClient(self._servers)
        self._partitions: dict[str, list[int]] = {}
        """The partitions of topics, cached: nothing here adds partitions to one."""

    def create(self, topics: Iterable[str], partitions: int) -> None:
        """Create upstream's topics, stamped by the broker."""
        config = {"message.timestamp.type": "LogAppendTime"}
        wanted = [NewTopic(topic, partitions, 1, config=config) for topic in topics]
        for made in self._admin.create_topics(wanted).values():
            made.result()

    def names(self) -> list[str]:
        """Return all topics."""
        return sorted(self._admin.list_topics(timeout=10).topics)

    def ends(self, topics: Iterable[str]) -> dict[Place, int]:
        """Return the end offset of every partition."""
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the library has no types
        asked = {TopicPartition(*place): latest for place in self._places(topics)}
        if not asked:
            return {}
        answer = self._admin.list_offsets(asked, isolation_level=IsolationLevel.READ_COMMITTED)
        return {(at.topic, at.partition): end.result(10).offset for at, end in answer.items()}

    def committed(self, group: str, topics: Iterable[str]) -> dict[Place, int]:
        """Return a group's committed offsets, 0 for a partition without one."""
        wanted = [TopicPartition(*place) for place in self._places(topics)]
        if not wanted:
            return {}
        asked = [ConsumerGroupTopicPartitions(group, wanted)]
        answer = self._admin.list_consumer_group_offsets(asked)[group].result(10)
        return {
            (found.topic, found.partition): max(found.offset, 0)
            for found in answer.topic_partitions or ()
        }

    def read(self, *topics: str) -> list[Entry]:
        """Read topics from their beginning to the end that they have now."""
        ends = {place: end for place, end in self.ends(topics).items() if end}
        if not ends:
            return []
        consumer = self._consumer()
        found: list[Entry] = []
        try:
            consumer.assign([TopicPartition(topic, number, 0) for topic, number in ends])
            open_places = set(ends)
            while open_places:
                for record in consumer.consume(500, 1.0):
                    error = record.error()
                    if error is not None:
                        if error.name() == "_PARTITION_EOF":
                            open_places.discard((record.topic(), record.partition()))
                            continue
                        raise KafkaException(error)
                    found.append(_entry(record))
        finally:
            consumer.close()
        return found

    def _places(self, topics: Iterable[str]) -> list[Place]:
        wanted = list(topics)
        # A listing of all topics of a shared broker is large, and progress is asked for many times a second.
        if not self._partitions.keys() >= set(wanted):
            found = self._admin.list_topics(timeout=10).topics
            self._partitions |= {name: sorted(found[name].partitions) for name in found}
        return [(topic, number) for topic in wanted for number in self._partitions.get(topic, ())]

    def _consumer(self) -> Consumer:
        return Consumer(
            {
                **self._servers,
                "group.id": "read",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 20,
            }
        )


def _entry(record: Message) -> Entry:
    return Entry(
        record.topic() or "",
        record.partition() or 0,
        record.offset() or 0,
        record.timestamp()[1],
        bytes(record.key() or b""),
        record.value(),
        _headers(record),
    )


def _headers(record: Message) -> dict[str, str]:
    # The stubs allow for a mapping, too, which only producers are given.
    found = cast("list[tuple[str, bytes | None]]", record.headers() or [])
    return {name: (value or b"").decode(errors="replace") for name, value in found}


def event_id_of(entry: Entry, schema: dict[str, object]) -> str | None:
    """Return the event id in an Avro single-object record, or None for any other record."""
    value = entry.value
    if value is None or value[:2] != b"\xc3\x01":
        return None
    decoded = fastavro.schemaless_reader(io.BytesIO(value[10:]), schema, None)
    return str(decoded["event_id"])  # type: ignore[index, call-overload]  # a record, by its schema


def parcel_id_of(entry: Entry) -> str:
    """Return the tracking id in a record of the carrier, in Confluent's framing: 00, the id, the body."""
    body = io.BytesIO((entry.value or b"")[5:])
    decoded = fastavro.schemaless_reader(body, SCHEMA, None)
    return str(decoded["trackingId"])  # type: ignore[index, call-overload]  # likewise
