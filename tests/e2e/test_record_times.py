"""Records with their producers' timestamps: harmless if that is accepted, skipped by an operator if not."""

import asyncio
import json
import time

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, Message, Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)
from tests.e2e.world import World, until, until_accepted

pytestmark = pytest.mark.timeout(400)

MICROSECONDS = 1_795_854_458_871_000
"""Microseconds that a producer used as milliseconds."""


def keep_producers_time(servers: str, topic: str) -> None:
    """Let a topic keep its producers' timestamps, whatever they are."""
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        for name, value in (
            ("message.timestamp.type", "CreateTime"),
            ("message.timestamp.after.max.ms", str(2**63 - 1)),
            ("retention.ms", "-1"),
        )
    ]
    asked = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=entries)
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    admin.incremental_alter_configs([asked])[asked].result(30)


def append(servers: str, topic: str, value: bytes, timestamp: int) -> Message:
    appended: list[Message] = []
    producer = Producer({"bootstrap.servers": servers, "log_level": 0})
    producer.produce(
        topic,
        value,
        partition=0,
        timestamp=timestamp,
        on_delivery=lambda _, record: appended.append(record),
    )
    assert producer.flush(10) == 0
    return appended[0]


def append_kept(servers: str, topic: str, value: bytes, timestamp: int) -> int:
    """Append a record again and again until the topic keeps its time; return the offset of that one.

    The broker answers for a changed setting before its logs have it.
    """
    end = time.monotonic() + 60
    while time.monotonic() < end:
        appended = append(servers, topic, value, timestamp)
        offset = appended.offset()
        if appended.timestamp()[0] == TIMESTAMP_CREATE_TIME and offset is not None:
            return offset
    pytest.fail("the topic kept its records' append times for a minute")


@pytest.mark.case("record-time")
async def test_bytes_stamped_with_microseconds_are_undecodable_and_shown_with_their_time(
    world: World,
) -> None:
    world.stage.environ["HOOKSTREAM_EVENTS__ACCEPT_CREATE_TIME"] = "true"
    crm = await world.subscribe("crm")
    await asyncio.to_thread(keep_producers_time, world.stage.servers, world.topic)
    await world.stage.start_worker()
    for timestamp in (MICROSECONDS, 1, 0):
        await asyncio.to_thread(append, world.stage.servers, world.topic, b"junk!", timestamp)

    await until_accepted(crm, await world.publish(3), 60)
    await world.until_settled(60)

    aside = await world.read("undecodable")
    assert [entry.headers.get("hs-origin-timestamp-ms") for entry in aside].count(
        str(MICROSECONDS)
    ) == 1
    listed = await world.ask("undecodable", "list")
    shown = json.dumps(listed)
    assert f"{MICROSECONDS} ms" in shown


async def test_an_operator_skips_records_that_carry_their_producers_time(
    world: World,
) -> None:
    crm = await world.subscribe("crm")
    await asyncio.to_thread(keep_producers_time, world.stage.servers, world.topic)
    now = int(time.time() * 1000)
    junk = world.stage.servers, world.topic, b"junk!", now
    first = await asyncio.to_thread(append_kept, *junk)
    for _ in range(3):
        await asyncio.to_thread(append, *junk)
    await world.stage.start_worker()

    def stopped() -> list[int]:
        lines = world.stage.log.read_text().splitlines()
        found = [json.loads(line) for line in lines if '"partition.stopped"' in line]
        return [line["offset"] for line in found]

    await until(lambda: stopped() == [first], 60, world.stage.log.read_text)
    place = f"{world.topic}/0"
    await world.stage.hookstream("partition", "skip", place, f"{first}", "--reason", "A1")
    await until(lambda: stopped() == [first, first + 1], 60, world.stage.log.read_text)

    await world.stage.hookstream("partition", "start", place, "--at", "latest", "--reason", "A2")

    await world.until_settled(60)
    assert len(await world.read("undecodable")) == first
    published = [entry for entry in await world.read("operations") if entry.key == place.encode()]
    assert [b"A1" in (entry.value or b"") for entry in published[:1]] == [True]
    assert any(b"start at latest. A2" in (entry.value or b"") for entry in published)
    assert crm.statuses == []
