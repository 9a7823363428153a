"""A cluster with dead letters in it, and the commands that read them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import orjson
import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, Producer
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from tests.conftest import Broker
from tests.doubles.schemas import event_schema
from tests.doubles.schemas import field as schema_field

from hookstream.adapters.avro.own_events import AvroOwnRecords
from hookstream.adapters.avro.published import PublishedSchema, published, schema_row
from hookstream.adapters.kafka.lookups import ask_offsets
from hookstream.adapters.kafka.scan import LogScan
from hookstream.adapters.kafka.tables.writer import TableChange, TableWriter
from hookstream.adapters.tables.rows import disabled_row, failing_row
from hookstream.core.model.attempt import AttemptRecord
from hookstream.core.model.delivery import Delivery, UnmatchedEvent
from hookstream.core.model.delivery_headers import (
    dead_letter_headers,
    tier_headers,
    undecodable_headers,
)
from hookstream.core.model.event import Undecodable
from hookstream.core.model.json import Json
from hookstream.core.model.outcome import DeadReason, Disposition, Outcome
from hookstream.core.model.record import Header, Headers, Origin, Record
from hookstream.core.model.topics import Topics
from hookstream.core.offsets.commit_metadata import encode_metadata
from hookstream.entry.cli import root

NOW = 1_795_000_000_000
EVENT_ID = "7d5f6d9e-6f2e-4b8e-9d53-6d7f2f1a4c11"
SCHEMA = event_schema(schema_field("pages", "int"))
PARTITIONS = 2

DELIVERY = Delivery(
    "msg_aaaaaaaaaaaaaaaaaaaaaaaaaa",
    "crm-orders",
    "acme",
    "thing.done",
    EVENT_ID,
    Origin("things", 0, 0, NOW - 9_000),
    first_at=NOW - 8_000,
    expires_at=NOW,
    attempt=9,
    step=8,
    last_outcome="failed",
    last_status=503,
)


def delivery(number: int = 0, subscription: str = "crm-orders") -> Delivery:
    """A delivery, unlike those of other numbers."""
    return replace(DELIVERY, delivery_id=f"msg_{number:026}", subscription_id=subscription)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Json]:
        document: dict[str, Json] = orjson.loads(self.out)
        return document


@dataclass(frozen=True, slots=True)
class World:
    """Topics of ours on a real broker."""

    bootstrap_servers: str
    names: Topics
    capsys: pytest.CaptureFixture[str]
    producer: Producer
    schema: PublishedSchema = field(default_factory=lambda: published(SCHEMA, 1))

    @property
    def client(self) -> dict[str, str | int | float | bool]:
        return {"bootstrap.servers": self.bootstrap_servers}

    @property
    def options(self) -> Sequence[str]:
        return ("--bootstrap-servers", self.bootstrap_servers, "--prefix", self.names.prefix)

    def run(self, *arguments: str) -> Ended:
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            root.main([*self.options, *arguments])
        captured = self.capsys.readouterr()
        code = ended.value.code
        return Ended(code if isinstance(code, int) else 0, captured.out, captured.err)

    def event(self, pages: int = 48) -> bytes:
        fields: dict[str, object] = {
            "event_id": EVENT_ID,
            "occurred_at": NOW * 1_000,
            "entity_id": "order-7",
            "environment": "production",
            "data": {"pages": pages},
        }
        return self.schema.encode(fields)

    def append(
        self,
        topic: str,
        value: bytes | None,
        headers: Headers = (),
        *,
        key: str = "k",
        partition: int = 0,
    ) -> None:
        refused: list[KafkaError] = []
        self.producer.produce(
            topic,
            value,
            key.encode(),
            partition,
            headers=list(headers),
            on_delivery=lambda error, _: refused.append(error) if error is not None else None,
        )
        assert (self.producer.flush(10), refused) == (0, [])

    def die(
        self,
        dead: Delivery,
        reason: DeadReason = DeadReason.ATTEMPTS_EXHAUSTED,
        *,
        partition: int = 0,
        by_reference: bool = False,
    ) -> None:
        """Put a dead letter into the log, as a worker does."""
        upstream: list[Header] = [("x-tenant", b"7")]
        headers = dead_letter_headers(dead, upstream, reason, f"{reason}!", written_at=NOW)
        value = None if by_reference else self.event()
        key = dead.subscription_id
        self.append(self.names.dead_letters, value, headers, key=key, partition=partition)

    def wait(self, waiting: Delivery | UnmatchedEvent) -> None:
        """Put a tier record into the log, as a worker does."""
        self.append(self.names.tier(0), self.event(), tier_headers(waiting, (), written_at=NOW))

    def settle(self, base: int, *spans: tuple[int, int]) -> None:
        """Commit what workers do where they settled the first tier's first partition below `base`, and above it these."""
        metadata = encode_metadata(base, spans, 1_000).text
        at = KafkaPartition(self.names.tier(0), 0, base, metadata=metadata)
        self.commit(self.names.retry_group, at)

    def commit(self, group: str, at: KafkaPartition) -> None:
        """Commit a position for a group that has no members."""
        asked = [ConsumerGroupTopicPartitions(group, [at])]
        admin = AdminClient(self.client)
        end = time.monotonic() + 30
        while True:
            answer = admin.alter_consumer_group_offsets(asked)[group].result(30)
            [done] = answer.topic_partitions
            if done.error is None:
                return
            # Its coordinator is new.
            assert time.monotonic() < end, done.error
            time.sleep(0.05)

    def set_aside(self, record: Record, problem: Undecodable) -> None:
        """Put an undecodable record into the log, as a worker does."""
        headers = undecodable_headers(record, problem, written_at=NOW)
        self.append(self.names.undecodable, record.value, headers)

    def attempt(
        self, made: Delivery, outcome: Outcome | None, disposition: Disposition, at: int
    ) -> None:
        """Put an audit record into the log, as a worker does."""
        own_records = AvroOwnRecords(self.names, "w-1", disabled_row, failing_row)
        entry = AttemptRecord(
            delivery=made,
            event_version=1,
            entity_id="order-7",
            environment="production",
            attempt=made.attempt,
            outcome=outcome,
            disposition=disposition,
            started_at=at,
            duration_us=12_345,
            request_bytes=900,
            host="crm.example",
            trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        )
        self.append(self.names.attempts, own_records.attempt(entry), key=made.subscription_id)

    def door(self) -> list[Record]:
        """The committed records of `retry.0s`."""
        return list(LogScan(self.client, self.names.tier(0)).read())

    def write(self, topic: str, *rows: tuple[str, bytes]) -> None:
        """Write rows of a table."""
        with TableWriter(self.client, self.names.writer, [topic], topic) as writer:
            writer.write([TableChange(topic, key, value) for key, value in rows])

    def create(self, topic: str) -> None:
        """Create a log, and return when it can be written."""
        config = {"message.timestamp.type": "LogAppendTime"}
        admin = AdminClient(self.client)
        admin.create_topics([NewTopic(topic, PARTITIONS, 1, config=config)])[topic].result(30)
        every = [(topic, partition) for partition in range(PARTITIONS)]
        ask_offsets(admin, every, "latest", 10, "the ends of a new topic")

    def remove(self, topic: str) -> None:
        """Remove a topic, and return when it cannot be read any more."""
        admin = AdminClient(self.client)
        admin.delete_topics([topic])[topic].result(30)
        while topic in admin.list_topics(timeout=10).topics:
            time.sleep(0.05)  # the broker does not notify of it


def make_world(broker: Broker, prefix: str, capsys: pytest.CaptureFixture[str]) -> World:
    """Create the topics, and publish the one schema."""
    names = Topics(prefix)
    compact = {"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime"}
    plain = {"message.timestamp.type": "LogAppendTime"}
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    logs = (names.dead_letters, names.undecodable, names.attempts, names.tier(0), f"{prefix}.ev")
    made = admin.create_topics(
        [NewTopic(name, 1, 1, config=compact) for name in names.tables]
        + [NewTopic(name, PARTITIONS, 1, config=plain) for name in logs]
    )
    for future in made.values():
        future.result(30)
    every = [(name, 0) for name in names.tables]
    every += [(name, partition) for name in logs for partition in range(PARTITIONS)]
    # The broker answers before it leads the new partitions.
    ask_offsets(admin, every, "latest", 10, "the ends of new topics")
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "linger.ms": 0})
    world = World(broker.bootstrap_servers, names, capsys, producer)
    key, value = schema_row(SCHEMA, 1)
    # Nobody else writes the table or reads it yet: a transaction would cost five times as much.
    world.append(names.schemas, value, key=key)
    return world
