"""A shortage in the worker costs no attempt, makes no endpoint slow, and ages no signature."""

import asyncio

import pytest
from tests.doubles.endpoint import status
from tests.scenarios.world import World

from hookstream.core.model.instant import MINUTE
from hookstream.core.model.record import header_text


@pytest.mark.parametrize("seconds", [1, 30, 400])
async def test_a_worker_without_descriptors_charges_no_endpoint(seconds: int) -> None:
    """A prompt endpoint with a queue continues as before: nothing is deferred, no attempt is counted."""
    async with World() as world:
        world.subscribe("crm", max_in_flight=4)
        world.endpoints.script("crm", status(204, after=0.05))
        await world.worker()
        world.publish(*(f"before{n}" for n in range(20)))
        await world.until(world.settled)
        world.endpoints.short = True
        world.publish(*(f"e{n}" for n in range(200)))
        await asyncio.sleep(seconds)
        assert len(world.endpoints.requests) == 20
        world.endpoints.short = False
        over = world.clock.now()
        await world.until(world.settled, within=60)

        assert world.tier_writes() == []
        assert set(world.accepted("crm").values()) == {1}
        assert world.metrics.outcomes == {"delivered": 220}
        signed = [
            int(each.header("webhook-timestamp") or 0) for each in world.endpoints.requests[20:]
        ]
        assert min(signed) >= over // 1000
        assert {each.header("hookstream-attempt") for each in world.endpoints.requests} == {"1"}
        assert world.logger.events("warning") == []


async def test_what_expires_while_a_worker_is_short_is_dead_lettered_without_an_attempt() -> None:
    async with World() as world:
        world.subscribe("crm", expires_after=MINUTE)
        await world.worker()
        world.endpoints.short = True
        world.publish("e1")
        await world.until(world.settled, within=120)

        assert world.endpoints.requests == []
        [dead_letter] = world.broker.records(world.topics.dead_letters)
        assert header_text(dead_letter.headers, "hs-reason") == "expired"
        assert header_text(dead_letter.headers, "hs-attempt") == "0"


async def test_a_worker_short_of_descriptors_drains_at_once() -> None:
    async with World() as world:
        world.subscribe("crm", max_in_flight=2)
        worker = await world.worker()
        world.endpoints.short = True
        world.publish(*(f"e{n}" for n in range(20)))
        await asyncio.sleep(5)
        began = asyncio.get_running_loop().time()

        assert await worker.terminate()
        assert asyncio.get_running_loop().time() - began < 1
