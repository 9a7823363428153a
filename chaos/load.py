"""The load: events of all six types, encoded beforehand, each with its own id, bounded in number."""

import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import orjson
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from examples.printprice.generator import EVENT_TYPES, Happening, events

from chaos.cast import Wanted
from hookstream.adapters.avro.encoder import EventEncoder
from hookstream.adapters.avro.registry import SchemaBook

SCHEMAS = Path(__file__).parents[1] / "schemas"

_ID = slice(11, 47)
"""Where the event id starts: after the marker, the fingerprint and its own length."""
_TICK = 0.005
_HELD = 0.05
"""Seconds between two checks whether more may be sent."""

_PRODUCER: dict[str, str | int | float | bool] = {
    "acks": "all",
    "enable.idempotence": True,
    "linger.ms": 1,
    # A killed broker is restarted: a write waits for it.
    "message.timeout.ms": 0,
    "queue.buffering.max.messages": 100_000,
    "log_level": 0,
}


class Template(NamedTuple):
    """An event without its id."""

    wanted: Wanted
    key: bytes
    value: bytes

    @property
    def shape(self) -> bytes:
        """The value without its id, which identifies its template."""
        return shape_of(self.value)


def shape_of(value: bytes) -> bytes:
    """Return a record's value without its event id."""
    return value[: _ID.start] + value[_ID.stop :]


def event_id_in(value: bytes) -> str:
    """Return the event id in a record's value."""
    return value[_ID].decode()


def templates(seed: int, many: int) -> list[Template]:
    """Return templates of all types, as a platform would mix them."""
    found: dict[bytes, Template] = {}
    for template in encoded(events(seed, many)):
        found.setdefault(template.shape, template)
    return list(found.values())


def encoded(happenings: Iterable[Happening]) -> Iterator[Template]:
    """Yield each event as a template."""
    book = SchemaBook(orjson.loads(file.read_bytes()) for file in SCHEMAS.rglob("*.avsc"))
    encoder = EventEncoder(book)
    for happening in happenings:
        fields = {
            "event_id": str(uuid.UUID(int=0, version=4)),
            "occurred_at": "2026-11-24T10:00:00.000Z",
            "entity_id": happening.entity_id,
            "environment": happening.environment,
            "data": happening.data,
        }
        wanted = Wanted(happening.event_type, happening.environment, happening.data)
        value = encoder.encode(happening.event_type, fields, happening.version)
        yield Template(wanted, happening.entity_id.encode(), value)


def event_topics(prefix: str) -> list[str]:
    """Return upstream's topics."""
    return [f"{prefix}.events.{event_type}" for event_type in EVENT_TYPES]


class Load:
    """Writes events, each to the topic of its type, and counts them."""

    def __init__(self, servers: str, prefix: str, seed: int) -> None:
        self._servers = servers
        self._prefix = prefix
        self._dice = random.Random(seed)
        self._producer = Producer({"bootstrap.servers": servers, **_PRODUCER})
        self.sent = 0
        self.refused = 0

    def create_topics(self, partitions: int) -> None:
        """Create the event topics as upstream would, stamped by the broker."""
        admin = AdminClient({"bootstrap.servers": self._servers, "log_level": 0})
        config = {"message.timestamp.type": "LogAppendTime"}
        wanted = [
            NewTopic(topic, partitions, 1, config=config) for topic in event_topics(self._prefix)
        ]
        for made in admin.create_topics(wanted).values():
            made.result()

    def send(self, template: Template) -> str:
        """Hand one event to the client, and return its id."""
        identity = str(uuid.UUID(int=self._dice.getrandbits(128), version=4))
        value = template.value
        value = value[: _ID.start] + identity.encode() + value[_ID.stop :]
        topic = f"{self._prefix}.events.{template.wanted.event_type}"
        # The id as the key: it spreads over the partitions, as many jobs would.
        while True:
            try:
                self._producer.produce(topic, value, identity, on_delivery=self._acknowledged)
                break
            except BufferError:
                self._producer.poll(0.1)
        self.sent += 1
        return identity

    def _acknowledged(self, error: object, _: object) -> None:
        self.refused += error is not None

    def flush(self, seconds: float = 60.0) -> int:
        """Wait for acknowledgements, and return how many are still missing."""
        return self._producer.flush(seconds)

    def held(
        self, found: Sequence[Template], may_send: Callable[[], int], stop: Callable[[], bool]
    ) -> Iterator[Template]:
        """Send templates at random, as many at a time as may be sent, until it is to stop."""
        while not stop():
            many = may_send()
            if many <= 0:
                self._producer.poll(_HELD)
                continue
            for template in self._dice.choices(found, k=many):
                self.send(template)
                yield template
            self._producer.poll(0)

    def paced(self, streams: Sequence[tuple[Sequence[Template], float]], seconds: float) -> int:
        """Send several streams of templates, each evenly at its rate a second, in turn.

        Returns:
            How many events were sent.
        """
        began = time.monotonic()
        before = self.sent
        sent = [0] * len(streams)
        while (past := time.monotonic() - began) < seconds:
            for place, (found, rate) in enumerate(streams):
                while sent[place] < past * rate:
                    self.send(found[sent[place] % len(found)])
                    sent[place] += 1
            # Acknowledged before the next: while requests are on their way and records wait,
            # librdkafka's thread spins, and starves a broker that shares its core.
            self.flush()
            time.sleep(_TICK)
        return self.sent - before
