"""A foreign schema in a real registry needs a mapping and nothing else; the kit finds its ids there."""

import asyncio
import copy
import json
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from tests.doubles.foreign import ORDERS, record, shipped, write_mapping
from tests.e2e.registries.producing import lines, serve, until_arrived
from tests.e2e.world import EVENT_TYPE, World, until

from hookstream.core.model.json import JsonObject
from hookstream.producer import EventProducer, SchemaRegistry

pytestmark = pytest.mark.timeout(300)

TYPE = "order.shipped"
LONGER = shipped({"name": "weight", "type": "double", "default": 0.0})


def registered(client: SchemaRegistryClient, prefix: str, tree: JsonObject) -> Schema:
    """A schema whose record `Meta` is in a subject of its own."""
    whole: Any = copy.deepcopy(tree)
    meta = {**whole["fields"][0]["type"], "namespace": "com.shop"}
    whole["fields"][0]["type"] = "com.shop.Meta"
    client.register_schema(f"{prefix}-meta", Schema(json.dumps(meta), "AVRO"))
    reference = SchemaReference("com.shop.Meta", f"{prefix}-meta", 1)
    return Schema(json.dumps(whole), "AVRO", [reference])


def send(world: World, url: str, topic: str, tree: JsonObject, *numbers: int) -> None:
    """Write records as a service with Confluent's serializer does."""
    producer = Producer({"bootstrap.servers": world.stage.servers, "log_level": 0})
    with SchemaRegistryClient({"url": url}) as client:
        conf: dict[str, object] = {"subject.name.strategy.type": "TOPIC"}
        serializer = AvroSerializer(client, registered(client, world.prefix, tree), conf=conf)
        for number in numbers:
            context = SerializationContext(topic, MessageField.VALUE)
            value = serializer({**record(number), "weight": 2.5}, context)
            producer.produce(topic, value, headers=[("env", b"production")])
        assert producer.flush(30) == 0


async def test_a_foreign_schema_with_a_reference_is_filtered_pinned_retried_and_redriven(
    world: World, registry_url: str
) -> None:
    topic = f"{world.prefix}.events.shop.orders"
    await asyncio.to_thread(world.log.create, [topic], 2)
    folder = write_mapping(world.stage.folder / "foreign", ORDERS.replace("shop.orders", topic))
    await world.stage.hookstream("schemas", "apply", str(folder), "--yes")
    serve(world, registry_url)
    few = f"versions: {{{TYPE}: 1}}\npattern: {{entity_id: ['1', '2']}}\n"
    crm = await world.subscribe("crm", "[1s]", types=f"[{TYPE}]", more=few)
    up = False

    async def first_down(_: object, __: int) -> int:
        return 204 if up else 500

    crm.answer(first_down)
    await world.stage.start_worker()
    await asyncio.to_thread(send, world, registry_url, topic, shipped(), 1, 3)
    await asyncio.to_thread(send, world, registry_url, topic, LONGER, 2)
    await until(lambda: len(crm.statuses) == 4, 90, lambda: crm.statuses)
    await world.until_settled(60)
    up = True
    await world.stage.hookstream("dlq", "redrive", "--subscription", "crm", "--yes")
    await until_arrived(crm, ["event-1", "event-2"])
    assert await world.stage.stop_worker() == 0
    assert set(crm.bodies) == {"event-1", "event-2"}
    assert crm.bodies["event-1"]["data"].keys() == crm.bodies["event-2"]["data"].keys()
    assert lines(world, "schema.unfit") == []


async def test_the_kit_finds_an_id_in_a_real_registry(world: World, registry_url: str) -> None:
    serve(world, registry_url)
    crm = await world.subscribe("crm")
    await world.stage.start_worker()

    await world.stage.hookstream("schemas", "register", "--registry", "main", EVENT_TYPE, "--yes")
    async with EventProducer(
        world.stage.servers,
        schemas_topic=f"{world.prefix}.schemas",
        topic_prefix=f"{world.prefix}.events.",
        framing="confluent",
        registry=SchemaRegistry([registry_url]),
    ) as producer:
        event = world.next_event()
        sent = await producer.send(EVENT_TYPE, event.data, entity_id=event.entity_id)
    await until_arrived(crm, [sent.event_id])
    assert await world.stage.stop_worker() == 0
