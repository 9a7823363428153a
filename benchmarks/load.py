"""The load: orders whose body is rendered to about 1 KB, encoded beforehand, each with its own id."""

import contextlib
import random
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import orjson
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from examples.printprice.generator import events

from hookstream.adapters.avro.encoder import EventEncoder
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.model.json import JsonObject

EVENT_TYPE = "order.generated"
SEED = 2026
SAMPLED = 0.01
"""Share of events whose producer decided on a trace."""

BODY_BYTES = 1_024
"""Bytes of an ordinary body."""
_AROUND = 209
"""Bytes of a body around its data."""
_TEMPLATES = 200
_TEMPLATE_BYTES = 4 << 20
"""Bytes of all templates at most: there are fewer large ones."""
_LONGER = 4
"""Bytes by which a line may be longer than the first, whose number has fewer digits."""
_ID = slice(11, 47)
"""Where the event id starts: after the marker, the fingerprint and its own length."""
_TICK = 0.002
_PARTITIONS = 4

# Values as an upstream service would set them: batches, acknowledged by all replicas.
_PRODUCER: dict[str, str | int | float | bool] = {
    "acks": "all",
    "enable.idempotence": True,
    "linger.ms": 1,
    "queue.buffering.max.messages": 1_000_000,
    "log_level": 0,
}


class Load:
    """Writes events to one topic and knows when the broker appended each."""

    def __init__(self, servers: str, topic: str, schemas: Path, compression: str = "none") -> None:
        """Encode the templates; nothing is connected before the first event."""
        self._servers = servers
        self.topic = topic
        self._schemas = schemas
        self._templates = templates(schemas)
        self._dice = random.Random(SEED)
        settings = {**_PRODUCER, "compression.type": compression}
        self._producer = Producer({"bootstrap.servers": servers, **settings})

    @property
    def record_bytes(self) -> int:
        """The mean size of a record's value."""
        return sum(map(len, self._templates)) // len(self._templates)

    def size(self, body_bytes: int) -> None:
        """Write events from now on whose body has about so many bytes."""
        self._templates = templates(self._schemas, body_bytes)

    def create_topic(self) -> None:
        """Create the event topic as upstream would, stamped by the broker."""
        admin = AdminClient({"bootstrap.servers": self._servers, "log_level": 0})
        config = {"message.timestamp.type": "LogAppendTime"}
        for made in admin.create_topics(
            [NewTopic(self.topic, _PARTITIONS, 1, config=config)]
        ).values():
            made.result()

    def preload(self, n: int) -> None:
        """Write `n` events as fast as it goes and wait until all are durable."""
        for value in self._events(n):
            self._produce(value)
            self._producer.poll(0)
        self._flush()

    def paced(self, rate: float, seconds: float) -> dict[str, tuple[float, float]]:
        """Write events evenly at `rate` a second for `seconds`.

        Returns:
            By event id the seconds since 1970 at which it was due, and at which it was handed to
            the client: apart where this process did not get its turn.
        """
        n = int(rate * seconds)
        sent: dict[str, tuple[float, float]] = {}
        began = time.time()
        for number, value in enumerate(self._events(n)):
            due = began + number / rate
            if due > time.time():
                # Acknowledged before the next: while requests are on their way and records wait,
                # librdkafka's thread spins, and starves a broker that shares its core.
                self._flush()
            while due > time.time():
                time.sleep(_TICK)
            self._produce(value)
            sent[value[_ID].decode()] = (due, time.time())
        self._flush()
        return sent

    def scheduled(self, rate: float, seconds: float) -> dict[str, tuple[float, float]]:
        """Write events evenly at `rate` a second for `seconds`, each when it is due: an open loop.

        However late the broker is, none waits for the acknowledgement of another.

        Returns:
            As `paced`.
        """
        n = int(rate * seconds)
        sent: dict[str, tuple[float, float]] = {}
        began = time.time() + 1 / rate
        for number, value in enumerate(self._events(n)):
            due = began + number / rate
            while (left := due - time.time()) > 0:
                time.sleep(left)
            handed = time.time()
            self._produce(value)
            self._producer.poll(0)
            sent[value[_ID].decode()] = (due, handed)
        self._flush()
        return sent

    def appended(self, since: dict[int, int]) -> dict[str, float]:
        """Return when each event from the given offsets on was appended, by event id, in seconds."""
        ends = self.ends()
        consumer = self._consumer()
        found: dict[str, float] = {}
        consumer.assign([TopicPartition(self.topic, p, offset) for p, offset in since.items()])
        wanted = sum(ends[p] - offset for p, offset in since.items())
        try:
            while len(found) < wanted:
                for record in consumer.consume(1000, 1.0):
                    error = record.error()
                    if error is not None:
                        raise KafkaException(error)
                    value = record.value() or b""
                    found[value[_ID].decode()] = record.timestamp()[1] / 1000
        finally:
            consumer.close()
        return found

    def ends(self) -> dict[int, int]:
        """Return the end offset of each partition of the event topic."""
        return {p: end for (_, p), end in ends(self._servers, [self.topic]).items()}

    def _consumer(self) -> Consumer:
        return _consumer(self._servers)

    def _events(self, n: int) -> Iterator[bytes]:
        for number in range(n):
            template = self._templates[number % len(self._templates)]
            identity = str(uuid.UUID(int=self._dice.getrandbits(128), version=4)).encode()
            yield template[: _ID.start] + identity + template[_ID.stop :]

    def _produce(self, value: bytes) -> None:
        dice = self._dice
        flags = "01" if dice.random() < SAMPLED else "00"
        trace = f"00-{dice.getrandbits(128):032x}-{dice.getrandbits(64):016x}-{flags}"
        self._producer.produce(
            self.topic, value, value[_ID], headers=[("traceparent", trace.encode())]
        )

    def _flush(self) -> None:
        left = self._producer.flush(60)
        if left:
            raise SystemExit(f"the broker did not acknowledge {left} events within a minute")


def ends(servers: str, topics: list[str]) -> dict[tuple[str, int], int]:
    """Return the end offset of every partition of topics that exist."""
    consumer = _consumer(servers)
    try:
        metadata = consumer.list_topics(timeout=10).topics
        return {
            (topic, p): consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10)[1]
            for topic in topics
            if topic in metadata
            for p in metadata[topic].partitions
        }
    finally:
        consumer.close()


class Growth:
    """How many records a topic got since a moment, with one client: it may be asked many times a second."""

    def __init__(self, servers: str, topic: str) -> None:
        """Take a topic that exists."""
        self._consumer = _consumer(servers)
        known = self._consumer.list_topics(topic, timeout=10).topics[topic].partitions
        self._partitions = [TopicPartition(topic, partition) for partition in known]
        self._latest = 0
        self._since = self._total()

    def restart(self) -> None:
        """Count from now on."""
        self._since = self._total()

    @property
    def records(self) -> int:
        """How many there are since."""
        return self._total() - self._since

    def close(self) -> None:
        """Close the client."""
        self._consumer.close()

    def _total(self) -> int:
        look = self._consumer.get_watermark_offsets
        # A starved broker is not the leader for a moment: then nothing is news.
        with contextlib.suppress(KafkaException):
            self._latest = sum(int(look(each, timeout=10)[1]) for each in self._partitions)
        return self._latest


def topic_names(servers: str) -> list[str]:
    """Return all topics there are."""
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    return sorted(admin.list_topics(timeout=10).topics)


def _consumer(servers: str) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "benchmark",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "log_level": 0,
        }
    )


def templates(schemas: Path, body_bytes: int = BODY_BYTES) -> list[bytes]:
    """Return the values of orders whose bodies have about so many bytes, with one id that is replaced."""
    wanted = max(1, min(_TEMPLATES, _TEMPLATE_BYTES // body_bytes))
    book = SchemaBook(orjson.loads(file.read_bytes()) for file in schemas.rglob("*.avsc"))
    encoder = EventEncoder(book)
    found: list[bytes] = []
    # About one event in seven is an order.
    for happening in events(SEED, 20 * _TEMPLATES):
        if happening.event_type != EVENT_TYPE or len(found) == wanted:
            continue
        fields = {
            "event_id": str(uuid.UUID(int=0, version=4)),
            "occurred_at": "2026-11-24T10:00:00.000Z",
            "entity_id": happening.entity_id,
            "environment": "production",
            "data": _filled(happening.data, body_bytes - _AROUND),
        }
        found.append(encoder.encode(EVENT_TYPE, fields, happening.version))
    return found


def _filled(data: JsonObject, data_bytes: int) -> JsonObject:
    """Give an order further lines until its JSON text has the requested size."""
    lines = cast("list[JsonObject]", data["lines"])
    while (short := data_bytes - len(orjson.dumps(data))) > 0:
        line = {**lines[0], "line": len(lines) + 1}
        least = len(orjson.dumps(line)) + 1
        if short < least:
            lines[-1]["description"] = f"{lines[-1]['description']}{'.' * short}"
        else:
            # All that fit for certain at once: each look at the size makes the whole text.
            more = max(1, short // (least + _LONGER))
            lines += [{**line, "line": len(lines) + number + 1} for number in range(more)]
    return data
