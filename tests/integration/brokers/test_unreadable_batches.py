"""A batch that the client cannot read stops its partition, and is never skipped silently."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from tests.contracts.source_worlds import KafkaWorld, take_some, take_until
from tests.doubles.broker import FROM_THE_START
from tests.doubles.listener import BookkeepingListener
from tests.doubles.logger import BookkeepingLogger
from tests.real_broker import a_broker

from hookstream.adapters.dev.broker import BrokerProcess
from hookstream.adapters.kafka.consumer import KafkaSource
from hookstream.adapters.system import SystemClock
from hookstream.core.model.record import TopicPartition

pytestmark = pytest.mark.timeout(400)

VALUE = b"to be damaged " * 40


@pytest.fixture(scope="module")
def own_broker() -> Iterator[BrokerProcess]:
    """A broker whose log this file may damage."""
    with a_broker() as process:
        yield process


def append(servers: str, topic: str, value: bytes, compression: str) -> None:
    """Append one batch of one record."""
    producer = Producer({"bootstrap.servers": servers, "compression.type": compression})
    producer.produce(topic, value)
    assert producer.flush(10) == 0


_FORMAT, _PAYLOAD = 16, 61
"""The positions of a batch's format, and of its first record."""


def damage(data: Path, topic: str, offset: int, where: int) -> None:
    """Change a byte of the batch at an offset, as a disk would."""
    [segment] = (data / "log" / f"{topic}-0").glob("*.log")
    batches = segment.read_bytes()
    start = 0
    while int.from_bytes(batches[start : start + 8], "big") != offset:
        start += 12 + int.from_bytes(batches[start + 8 : start + 12], "big")
    with segment.open("r+b") as file:
        file.seek(start + where)
        file.write(bytes([batches[start + where] ^ 0x55]))


@pytest.mark.parametrize("word", ["start", "skip"])
@pytest.mark.parametrize(
    ("compression", "where"),
    [
        ("gzip", _PAYLOAD),
        ("zstd", _PAYLOAD),
        ("lz4", _PAYLOAD),
        pytest.param("none", _PAYLOAD, id="checksum"),
        pytest.param("none", _FORMAT, id="format"),
    ],
)
async def test_a_damaged_batch_stops_its_partition_until_an_operator_skips_it(
    own_broker: BrokerProcess, prefix: str, compression: str, where: int, word: str
) -> None:
    """The client stays before some of them for ever, and continues after an unknown format."""
    world = KafkaWorld(own_broker.bootstrap_servers, prefix, "consumer")
    topic = f"{prefix}.events"
    at = TopicPartition(topic, 0)
    await world.create(topic)
    for value in (b"0", VALUE, b"2", b"3"):
        await asyncio.to_thread(append, own_broker.bootstrap_servers, topic, value, compression)
    await asyncio.to_thread(damage, own_broker.data, topic, 1, where)
    listener = BookkeepingListener()
    source = KafkaSource(
        {"bootstrap.servers": own_broker.bootstrap_servers, "check.crcs": compression == "none"},
        "g" + prefix,
        protocol="consumer",
        instance_id=None,
        topics=lambda topics: [name for name in topics if name == topic],
        starts=FROM_THE_START,
        logger=BookkeepingLogger(),
        clock=SystemClock(),
    )
    await source.start(listener)
    try:
        before = await take_some(source, 1)
        await take_until(source, lambda: at in source.stopped, seconds=60)
        assert [record.offset for record in before] == [0]
        assert f"{topic}/0 from offset 1 on cannot be fetched" in source.stopped[at]

        if word == "start":
            source.start_partition(at, "latest")
            # `latest` is resolved when the position is applied.
            await take_until(source, lambda: at not in source.stopped, seconds=60)
        else:
            source.skip(at, 1)
        await asyncio.to_thread(append, own_broker.bootstrap_servers, topic, b"4", compression)
        expected, end = ([b"4"], 4) if word == "start" else ([b"2", b"3", b"4"], 2)
        after = await take_some(source, len(expected))

        assert [record.value for record in after] == expected
        assert at not in source.stopped
        assert [entry for entry in listener.book if entry[0] != "stopped"] == [
            ("assigned", {at: 0}),
            ("gap", (at, 1, end)),
        ]
    finally:
        await source.close()
