"""Records of a platform that cannot change its schemas reach a verified partner, by a mapping."""

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from examples.demo.stage import CommandFailed
from fastavro import schemaless_writer
from tests.doubles.foreign import ORDERS, record, shipped, write_mapping
from tests.e2e.world import World, until, until_status

from hookstream.adapters.avro.published import fingerprint_of

pytestmark = pytest.mark.timeout(400)

TYPE = "order.shipped"
UNIDENTIFIED = ORDERS.replace("event_id: {field: meta.id}\n", "")
PINNED = f"versions: {{{TYPE}: 1}}\n"


def written(number: int) -> bytes:
    body = io.BytesIO()
    body.write(b"\xc3\x01" + bytes.fromhex(fingerprint_of(shipped())))
    schemaless_writer(body, shipped(), record(number))
    return body.getvalue()


async def produce(world: World, *numbers: int, env: str = "production") -> None:
    producer = Producer({"bootstrap.servers": world.stage.servers, "log_level": 0})
    for number in numbers:
        producer.produce(topic(world), written(number), headers=[("env", env.encode())])
    assert await asyncio.to_thread(producer.flush, 30) == 0


async def down(_: object, __: int) -> int:
    return 500


def topic(world: World) -> str:
    return f"{world.prefix}.events.shop.orders"


async def publish(world: World, text: str = ORDERS) -> str:
    """Publish a mapping of the world's topic; return what the command printed."""
    folder = world.stage.folder / "foreign"
    write_mapping(folder, text.replace("shop.orders", topic(world)))
    return await world.stage.hookstream("schemas", "apply", str(folder), "--yes")


async def shown(world: World, *command: str) -> Any:  # noqa: ANN401  # JSON
    return json.loads(await world.stage.hookstream(*command))


async def test_foreign_records_are_delivered_retried_and_redriven_under_one_identity(
    world: World,
) -> None:
    """Nothing in them names an event, so that the event is its place in the log."""
    await asyncio.to_thread(world.log.create, [topic(world)], 3)
    world.event_topics.append(topic(world))
    said = await publish(world, UNIDENTIFIED)
    assert "+ mapping orders" in said
    crm = await world.subscribe("crm", "[1s]", f"[{TYPE}]", more=PINNED)
    crm.answer(down)
    await world.stage.start_worker()
    await produce(world, 7)
    await until_status(crm, 500, 30)
    await world.stage.kill_worker()
    await world.stage.start_worker()
    await world.until_settled(60)
    # The killed worker may have written one that it did not commit.
    letter, *copies = await world.read("dead-letters")
    assert all(copy.headers["hs-event-id"] == letter.headers["hs-event-id"] for copy in copies)
    crm.answer(None)
    await world.stage.hookstream("dlq", "redrive", "--subscription", "crm", "--yes")
    await until(lambda: len(crm.bodies) == 1 and 204 in crm.statuses, 60, lambda: crm.statuses)
    assert await world.stage.stop_worker() == 0

    [body] = crm.bodies.values()
    assert body == {
        "type": TYPE,
        "version": 1,
        "timestamp": "2026-11-30T00:53:20.123000Z",
        "id": letter.headers["hs-event-id"],
        "environment": "production",
        "entity_id": "7",
        "data": {
            "meta": {"id": "event-7"},
            "orderNumber": 7,
            "shippedAt": "2026-11-30T00:53:20.123Z",
            "note": None,
        },
    }
    ids = {entry.webhook_id for entry in crm.receiver.book.entries}
    assert len(ids) == 1
    tailed = await world.stage.hookstream(
        "events", "tail", "--from-beginning", "--no-follow", "--type", TYPE
    )
    assert json.loads(tailed) == body


async def test_commands_show_mappings_and_keep_the_source_of_event_ids(
    world: World, tmp_path: Path
) -> None:
    await publish(world)
    assert "Nothing to publish" in await publish(world)
    listed = await world.stage.hookstream("schemas", "list")
    assert "record com.shop.OrderShipped" in listed
    mapping = await shown(world, "schemas", "show", "orders")
    assert (mapping["mapping"], mapping["event_id"]) == ("orders", {"field": "meta.id"})
    schema = await shown(world, "schemas", "show", TYPE)
    assert (schema["version"], schema["mappings"]) == (1, ["orders"])
    folder = str(world.stage.folder / "foreign")
    write_mapping(Path(folder), UNIDENTIFIED.replace("shop.orders", topic(world)))
    with pytest.raises(CommandFailed, match="every event would be delivered again under another"):
        await world.stage.hookstream("schemas", "check", folder, "--against", "topic")
    empty = tmp_path / "empty"
    write_mapping(empty, ORDERS.replace("order.shipped", "order.sent"), name="other")
    await world.stage.hookstream(
        "schemas", "apply", str(empty), "--remove-mapping", "orders", "--yes"
    )
    assert [each["mapping"] for each in await mappings(world)] == ["other"]


async def mappings(world: World) -> list[Any]:
    lines = await world.stage.hookstream("schemas", "list", "--json")
    return [found for line in lines.splitlines() if "mapping" in (found := json.loads(line))]
