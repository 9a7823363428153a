"""Every record sink, in memory or on Kafka, keeps these promises to the pipeline."""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

import pytest
from confluent_kafka import Consumer, KafkaError
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from tests.doubles.broker import Broker
from tests.doubles.broker_sink import BrokerSink
from tests.doubles.clock import LoopClock
from tests.doubles.logger import BookkeepingLogger

from hookstream.adapters.kafka.producer import KafkaSink
from hookstream.core.model.record import Header, Headers, OutgoingRecord
from hookstream.pipeline.ports import RecordSink, WriteRefused

Stored = tuple[bytes | None, bytes | None, Headers]
LIMIT = 20_000


class Sink(RecordSink, Protocol):
    failed: asyncio.Future[None]

    async def flush(self, deadline: float) -> bool: ...

    async def close(self) -> None: ...


class World(Protocol):
    topic: str

    @property
    def sink(self) -> Sink: ...

    async def stored(self) -> list[Stored]: ...


class MemoryWorld:
    def __init__(self) -> None:
        self.topic = "tier"
        self.broker = Broker(LoopClock())
        self.broker.create(self.topic, max_record_bytes=LIMIT)
        self.sink: BrokerSink = self.broker.sink()

    async def stored(self) -> list[Stored]:
        return [(r.key, r.value, list(r.headers)) for r in self.broker.records(self.topic)]


class KafkaWorld:
    def __init__(self, servers: str, prefix: str) -> None:
        self.topic = f"{prefix}.tier"
        self._client: dict[str, str | int | float | bool] = {"bootstrap.servers": servers}
        admin = AdminClient(self._client)
        topic = NewTopic(self.topic, 1, 1, config={"max.message.bytes": str(LIMIT)})
        admin.create_topics([topic])[self.topic].result(10)
        self.sink = KafkaSink(self._client, 10 * LIMIT, BookkeepingLogger())

    async def stored(self) -> list[Stored]:
        return await asyncio.to_thread(self._read)

    def _read(self) -> list[Stored]:
        settings = {"group.id": "none", "enable.partition.eof": True, "fetch.wait.max.ms": 50}
        consumer = Consumer(self._client | settings)
        consumer.assign([KafkaPartition(self.topic, 0, 0)])
        stored: list[Stored] = []
        try:
            while True:
                record = consumer.poll(10)
                assert record is not None
                if error := record.error():
                    assert error.code() == KafkaError._PARTITION_EOF  # noqa: SLF001
                    return stored
                stored.append((record.key(), record.value(), headers_of(record.headers())))
        finally:
            consumer.close()


def headers_of(headers: object) -> Headers:
    return list(headers) if isinstance(headers, list) else []


@pytest.fixture(
    params=[
        "memory",
        pytest.param("kafka", marks=[pytest.mark.kafka, pytest.mark.real_time]),
    ]
)
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    world: World
    if request.param == "memory":
        world = MemoryWorld()
    else:
        servers = request.getfixturevalue("broker").bootstrap_servers
        world = KafkaWorld(servers, request.getfixturevalue("prefix"))
    yield world
    await world.sink.close()


async def test_a_record_is_written_whole_and_acknowledged_once(world: World) -> None:
    headers = [("hs-attempt", b"1"), ("bare", None), ("traceparent", b"00")]
    verdicts: list[WriteRefused | None] = []

    world.sink.write(OutgoingRecord(world.topic, b"k", b"\xc3\x01", headers), verdicts.append)
    assert verdicts == []
    flushed = await world.sink.flush(10)

    assert flushed
    assert verdicts == [None]
    assert await world.stored() == [(b"k", b"\xc3\x01", headers)]


async def test_a_lone_surrogate_in_a_headers_name_is_escaped(world: World) -> None:
    """It is no text, and ends the process of a client that is given it."""
    headers: list[Header] = [("a\ud800", b"1"), ("größe", b"2")]

    world.sink.write(OutgoingRecord(world.topic, b"k", b"v", headers), lambda _: None)
    await world.sink.flush(10)

    assert await world.stored() == [(b"k", b"v", [(r"a\ud800", b"1"), ("größe", b"2")])]


@pytest.mark.parametrize("topic", ["no\ud800text", "no\0text"])
async def test_a_topic_that_cannot_be_one_is_refused_to_its_writer(
    world: World, topic: str
) -> None:
    verdicts: list[WriteRefused | None] = []

    world.sink.write(OutgoingRecord(topic, b"k", b"v"), verdicts.append)
    flushed = await world.sink.flush(10)

    assert flushed
    assert [type(verdict) for verdict in verdicts] == [WriteRefused]


async def test_a_tombstone_can_be_written(world: World) -> None:
    verdicts: list[WriteRefused | None] = []

    world.sink.write(OutgoingRecord(world.topic, b"k", None), verdicts.append)
    await world.sink.flush(10)

    assert await world.stored() == [(b"k", None, [])]


async def test_an_acknowledged_record_can_be_read(world: World) -> None:
    """An offset is freed on the strength of this."""
    acknowledged = asyncio.Event()

    world.sink.write(OutgoingRecord(world.topic, b"k", b"v"), lambda _: acknowledged.set())
    async with asyncio.timeout(60):
        await acknowledged.wait()

    assert await world.stored() == [(b"k", b"v", [])]


async def test_many_records_are_all_written(world: World) -> None:
    """Together they are larger than one of them may be: a broker accepts or rejects a batch as a whole."""
    verdicts: list[WriteRefused | None] = []

    for number in range(3000):
        world.sink.write(OutgoingRecord(world.topic, b"k", b"%d" % number), verdicts.append)
    flushed = await world.sink.flush(20)

    assert flushed
    assert verdicts == [None] * 3000
    stored = sorted(int(value or b"-1") for _, value, _ in await world.stored())
    assert stored == list(range(3000))


@pytest.mark.parametrize("size", [5 * LIMIT, 20 * LIMIT])
async def test_a_sink_refuses_a_record_that_is_too_large_and_no_other(
    world: World, size: int
) -> None:
    """Refused by the broker or by the client: the records around it are written."""
    verdicts: dict[str, WriteRefused | None] = {}

    for name, value in (("before", b"1"), ("large", bytes(size)), ("after", b"2")):
        record = OutgoingRecord(world.topic, name.encode(), value)
        world.sink.write(record, lambda refusal, name=name: verdicts.update({name: refusal}))  # type: ignore[misc]
    await world.sink.flush(10)

    large = verdicts.pop("large")
    assert verdicts == {"before": None, "after": None}
    assert large is not None
    assert large.too_large
    assert [key for key, _, _ in await world.stored()] == [b"before", b"after"]


async def test_a_writer_may_write_again_from_its_acknowledgement(world: World) -> None:
    """A settler does: a dead letter that is too large is written again by reference."""
    sink, done = world.sink, asyncio.Event()

    def again(_: WriteRefused | None) -> None:
        sink.write(OutgoingRecord(world.topic, b"k", b"again"), lambda _: done.set())

    sink.write(OutgoingRecord(world.topic, b"k", bytes(20 * LIMIT)), again)
    async with asyncio.timeout(60):
        await done.wait()

    assert await sink.flush(10)
    assert [value for _, value, _ in await world.stored()] == [b"again"]


async def test_nothing_is_acknowledged_after_closing(world: World) -> None:
    verdicts: list[WriteRefused | None] = []
    world.sink.write(OutgoingRecord(world.topic, b"k", b"v"), verdicts.append)

    await world.sink.close()
    world.sink.write(OutgoingRecord(world.topic, b"k", b"v"), verdicts.append)
    await asyncio.sleep(0.1)

    assert verdicts == []


async def test_an_acknowledgement_that_raises_ends_the_sink(world: World) -> None:
    """What is settled is no longer known: continuing could release an offset too early."""

    def refuse(_: WriteRefused | None) -> None:
        raise ValueError("no")

    world.sink.write(OutgoingRecord(world.topic, b"k", b"v"), refuse)
    async with asyncio.timeout(60):
        await asyncio.wait([world.sink.failed])

    assert "ValueError('no')" in str(world.sink.failed.exception())
