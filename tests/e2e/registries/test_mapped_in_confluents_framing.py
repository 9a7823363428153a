"""Foreign records in Confluent's framing are events by a mapping, whatever revision they are of."""

import asyncio
import io
import json

import pytest
from confluent_kafka import Producer
from fastavro import schemaless_writer
from tests.doubles.foreign import ORDERS, record, shipped, write_mapping
from tests.doubles.registry_server import RegistryServer
from tests.e2e.registries.producing import lines, serve, until_arrived
from tests.e2e.world import World, until

from hookstream.core.model.framing import prefixed
from hookstream.core.model.json import JsonObject

pytestmark = pytest.mark.timeout(400)

TYPE = "order.shipped"
LONGER = shipped({"name": "weight", "type": "double", "default": 0.0})
CHANGED = shipped({"name": "carrier", "type": "string"}, without="note")
SECOND = "  - version: 2\n    schema: order_shipped_v2.avsc\nevent_id:"


async def test_revisions_of_a_foreign_subject_are_delivered_and_an_incompatible_one_waits(
    world: World,
) -> None:
    topic = f"{world.prefix}.events.shop.orders"
    text = ORDERS.replace("shop.orders", topic)
    folder = world.stage.folder / "foreign"
    await asyncio.to_thread(world.log.create, [topic], 2)
    write_mapping(folder, text)
    await world.stage.hookstream("schemas", "apply", str(folder), "--yes")

    async def produce(schema_id: int, schema: JsonObject, number: int, **more: object) -> str:
        body = io.BytesIO()
        body.write(prefixed(schema_id))
        schemaless_writer(body, schema, record(number, **more))
        producer = Producer({"bootstrap.servers": world.stage.servers, "log_level": 0})
        producer.produce(topic, body.getvalue(), headers=[("env", b"production")])
        assert await asyncio.to_thread(producer.flush, 30) == 0
        return f"event-{number}"

    async with RegistryServer() as server:
        for number, schema in enumerate((shipped(), LONGER, CHANGED), 1):
            server.put(str(number), schema)
        serve(world, server.url)
        latest = f"versions: {{{TYPE}: latest}}\n"
        few = f"pattern: {{data: {{orderNumber: [{{numeric: ['<', 100]}}]}}}}\n{latest}"
        crm = await world.subscribe("crm", types=f"[{TYPE}]", more=few)
        newest = await world.subscribe("newest", types=f"[{TYPE}]", more=latest)
        await world.stage.start_worker()
        sent = [await produce(1, shipped(), 1), await produce(2, LONGER, 2, weight=2.5)]
        beyond = await produce(1, shipped(), 100)
        await until_arrived(crm, sent)
        await until_arrived(newest, [*sent, beyond])
        assert beyond not in crm.accepted
        assert crm.bodies["event-1"]["data"].keys() == crm.bodies["event-2"]["data"].keys()

        later = await produce(3, CHANGED, 3, carrier="DHL")
        await until(lambda: lines(world, "schema.unfit") != [], 60, lambda: "no alarm")
        write_mapping(folder, text.replace("event_id:", SECOND), shipped(), CHANGED)
        await world.stage.hookstream("schemas", "apply", str(folder), "--yes")
        await until_arrived(newest, [later])
        await until_arrived(crm, [later])
        assert await world.stage.stop_worker() == 0

    assert newest.bodies[later]["version"] == 2
    assert newest.bodies[later]["data"]["carrier"] == "DHL"
    assert await world.read("dead-letters", "undecodable") == []
    shown = await world.stage.hookstream(
        "events", "tail", "--topic", topic, "--from-beginning", "--no-follow"
    )
    assert {json.loads(line)["id"] for line in shown.splitlines()} == {*sent, beyond, later}
