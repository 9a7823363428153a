"""Whatever a registry does, events of schemas that are known go on and no event is lost."""

import asyncio
import random

import pytest
from aiohttp import web
from tests.doubles.registry_server import RegistryServer
from tests.e2e.registries.producing import TREE, Confluent, lines, serve, until_arrived
from tests.e2e.world import World, until

GUID = "00112233-4455-6677-8899-aabbccddeeff"

pytestmark = pytest.mark.timeout(400)


async def test_events_in_every_framing_are_delivered_and_a_restart_needs_no_registry(
    world: World,
) -> None:
    async with RegistryServer() as server:
        server.put("7", TREE)
        server.put(GUID, TREE)
        serve(world, server.url)
        crm = await world.subscribe("crm")
        await world.stage.start_worker()
        confluent = Confluent(world)
        sent = [
            *await confluent.prefix(7, count=20),
            await confluent.header(GUID),
            *(each.event_id for each in await world.publish(3)),
        ]
        await until_arrived(crm, sent)
        assert await world.stage.stop_worker() == 0
        assert server.asked == {"/schemas/ids/7": 1, f"/schemas/guids/{GUID}": 1}

    await world.stage.start_worker()
    again = await confluent.prefix(7, count=3)
    await until_arrived(crm, again)
    shown = await world.stage.hookstream(
        "events", "tail", "--topic", world.topic, "--from-beginning", "--no-follow"
    )
    assert all(each in shown for each in (*sent, *again))
    assert lines(world, "registry.unreachable") == []


async def test_a_registry_that_is_down_stops_a_partition_and_no_other_until_it_is_back(
    world: World,
) -> None:
    async with RegistryServer() as server:
        server.put("7", TREE)
        server.put("8", TREE)
        serve(world, server.url, timeout="1s")
        crm = await world.subscribe("crm")
        await world.stage.start_worker()
        confluent = Confluent(world)
        await until_arrived(crm, await confluent.prefix(7))

        server.answer = web.Response(status=503, text='{"message": "no store"}')
        held = await confluent.prefix(8, partition=0, count=3)
        await asyncio.sleep(2)
        behind = await confluent.prefix(7, partition=0, count=3)
        beside = await confluent.prefix(7, partition=1, count=3)
        await until_arrived(crm, beside)
        assert crm.accepted.keys().isdisjoint({*held, *behind})

        server.answer = None
        await until_arrived(crm, [*held, *behind])
        await world.until_settled(60)
        assert await world.read("undecodable") == []


async def test_a_password_that_is_refused_is_raised_with_what_the_registry_answered(
    world: World,
) -> None:
    async with RegistryServer() as server:
        server.put("7", TREE)
        server.authorization = "Basic bWU6aHVzaC1odXNo"
        password = world.stage.folder / "password"
        password.write_text("old-secret")
        serve(world, server.url, username="me", password_file=str(password))
        crm = await world.subscribe("crm")
        await world.stage.start_worker()
        sent = await Confluent(world).prefix(7)
        await until(lambda: bool(lines(world, "registry.unreachable")), 90, lambda: server.asked)
        [alarm, *_] = lines(world, "registry.unreachable")
        assert alarm["detail"].startswith("it answered 401 (40101): Unauthorized")
        assert alarm["registry"] == "main"
        assert crm.accepted == {}

        password.write_text("hush-hush")
        await until_arrived(crm, sent)
        said = world.stage.log.read_text()
        assert "old-secret" not in said
        assert "hush-hush" not in said


async def test_ids_drawn_at_a_thousand_a_second_hold_up_no_event(world: World) -> None:
    drawn = random.Random(7)
    async with RegistryServer() as server:
        server.put("7", TREE)
        serve(world, server.url)
        crm = await world.subscribe("crm")
        await world.stage.start_worker()
        confluent = Confluent(world)
        await until_arrived(crm, await confluent.prefix(7))
        sent: list[str] = []
        began = asyncio.get_running_loop().time()
        for _ in range(8):
            for _ in range(1_000):
                confluent.produce(b"\0" + drawn.randbytes(30))
            sent += await confluent.prefix(7, count=3)
            await asyncio.sleep(0.9)
        await until_arrived(crm, sent)
        took = asyncio.get_running_loop().time() - began
        assert server.asked.total() <= 100 + 50 * (took + 2)
        assert lines(world, "registry.unreachable") == []
        assert await world.read("undecodable") == []
