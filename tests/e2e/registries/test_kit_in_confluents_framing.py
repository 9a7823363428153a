"""Events that the kit writes in Confluent's framing are delivered as any other."""

import pytest
from tests.doubles.registry_server import RegistryServer
from tests.e2e.registries.producing import TREE, serve, until_arrived
from tests.e2e.world import EVENT_TYPE, World

from hookstream.core.model.framing import prefixed
from hookstream.producer import EventProducer, SchemaRegistry

pytestmark = pytest.mark.timeout(400)


async def test_the_kit_writes_an_id_that_it_looks_up_and_one_that_it_is_given(
    world: World,
) -> None:
    async with RegistryServer() as server:
        server.put("5", TREE)
        server.registered["printprice.PricingCompleted"] = ["5"]
        serve(world, server.url)
        crm = await world.subscribe("crm")
        await world.stage.start_worker()
        servers, prefix = world.stage.servers, f"{world.prefix}.events."
        followed = EventProducer(
            servers,
            schemas_topic=f"{world.prefix}.schemas",
            topic_prefix=prefix,
            framing="confluent",
            registry=SchemaRegistry([server.url]),
        )
        given = EventProducer(
            servers,
            schemas=[TREE],
            topic_prefix=prefix,
            framing="confluent",
            schema_ids={(EVENT_TYPE, 1): 5},
        )
        sent = []
        for producer in (followed, given):
            async with producer:
                event = world.next_event()
                published = await producer.send(EVENT_TYPE, event.data, entity_id=event.entity_id)
                sent.append(published.event_id)
        await until_arrived(crm, sent)
        assert await world.stage.stop_worker() == 0
    values = [entry.value for entry in world.log.read(world.topic)]
    assert {value[:5] for value in values if value is not None} == {prefixed(5)}
