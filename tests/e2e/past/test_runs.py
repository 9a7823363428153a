"""A replay and a test go through a real broker and a worker that is killed, and the audit log tells them apart."""

import asyncio
import io
import json
import time

import fastavro
import pytest
from confluent_kafka import Producer
from examples.demo.log import Entry
from examples.demo.stage import ROOT
from tests.e2e.world import EVENT_TYPE, World, until, until_accepted, until_status

from hookstream.adapters.avro.published import published
from hookstream.core.delivery.identity import delivery_id
from hookstream.core.model.delivery import Delivery
from hookstream.core.model.instant import HOUR
from hookstream.core.model.record import Origin, OutgoingRecord, Record
from hookstream.core.model.subscription import Endpoint, Subscription
from hookstream.core.redrive.runs import TEST_ENVIRONMENT, Run

pytestmark = pytest.mark.timeout(400)


async def write(world: World, record: OutgoingRecord) -> None:
    producer = Producer({"bootstrap.servers": world.stage.servers, "log_level": 0})
    producer.produce(record.topic, record.value, record.key, headers=list(record.headers))
    assert await asyncio.to_thread(producer.flush, 30) == 0


def replayed(world: World, entry: Entry, event_id: str, job: str) -> OutgoingRecord:
    """Return what a replay of an event to `crm` writes."""
    record = Record(
        entry.topic, entry.partition, entry.offset, entry.timestamp, entry.key, entry.value, ()
    )
    first = Delivery(
        delivery_id(EVENT_TYPE, event_id, "crm"),
        "crm",
        "crm",
        EVENT_TYPE,
        event_id,
        Origin(entry.topic, entry.partition, entry.offset, entry.timestamp),
        entry.timestamp,
        entry.timestamp,
    )
    run = Run(f"{world.prefix}.retry.0s", job)
    return run.resent(first, record, now=entry.timestamp, expires_after=HOUR)


def as_a_test(world: World, entry: Entry, event_id: str, job: str) -> OutgoingRecord:
    """Return what a test of `crm` writes: the platform's event, with the envelope of a test."""
    schema = published(json.loads((ROOT / "schemas" / EVENT_TYPE / "v1.avsc").read_text()), 1)
    assert entry.value is not None
    fields = fastavro.schemaless_reader(io.BytesIO(entry.value[10:]), schema.parsed, None)
    assert isinstance(fields, dict)
    value = schema.encode({**fields, "event_id": event_id, "environment": TEST_ENVIRONMENT})
    crm = Subscription("crm", "crm", Endpoint("https://unused.example", ()), (EVENT_TYPE,), 0)
    identity = delivery_id(EVENT_TYPE, event_id, "crm")
    run = Run(f"{world.prefix}.retry.0s", job)
    return run.tested(value, (), EVENT_TYPE, event_id, identity, crm, now=int(time.time() * 1000))


async def test_a_replay_survives_its_worker_and_a_test_is_attempted_once(world: World) -> None:
    crm = await world.subscribe("crm", schedule="[1s, 1s, 1s, 1s]")
    await world.stage.start_worker()
    [sent] = await world.publish(1)
    await until_accepted(crm, [sent], 60)
    await world.until_settled(60)
    [event] = await world.read(f"events.{EVENT_TYPE}")

    async def refuse(_: object, __: int) -> int:
        return 503

    crm.answer(refuse)
    await write(world, replayed(world, event, sent.event_id, "replay-1"))
    await until_status(crm, 503, 60)
    await world.stage.kill_worker()
    crm.answer(None)
    await world.stage.start_worker()
    await until(
        lambda: crm.statuses[-1] == 204 and len(crm.statuses) > 2, 60, lambda: crm.statuses
    )
    await world.until_settled(60)

    # The receiver has it and says so; what it does with a replay is its own decision.
    assert crm.acted[sent.event_id] == 1
    assert {entry.webhook_id for entry in crm.receiver.book.entries} == {
        delivery_id(EVENT_TYPE, sent.event_id, "crm")
    }
    shown = await world.ask("attempts", "show", crm.receiver.book.entries[0].webhook_id)
    assert (shown["state"], shown["completed"]) == ("completed", True)
    assert shown["runs"] == [
        {"job_id": None, "state": "completed"},
        {"job_id": "replay-1", "state": "completed"},
    ]
    runs = [(each["job_id"], each["trigger"]) for each in shown["moments"]]
    assert runs[0] == (None, "initial")
    assert set(runs[1:]) == {("replay-1", "replay")}

    crm.answer(refuse)
    await write(world, as_a_test(world, event, "test-1", "test-9"))
    await until(lambda: crm.receiver.book.entries[-1].trigger == "test", 60, lambda: crm.statuses)
    await world.until_settled(60)
    listed = await world.stage.hookstream("attempts", "list", "--event", "test-1", "--json")
    [ended] = [json.loads(line) for line in listed.splitlines()]
    assert (ended["job_id"], ended["environment"]) == ("test-9", "test")
    assert (ended["disposition"], ended["status"]) == ("cancel", 503)
    assert await world.read("dead-letters") == []
