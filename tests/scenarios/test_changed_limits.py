"""A limit that is changed applies within seconds, whatever the lane has at any one instant."""

import asyncio

import pytest
from tests.scenarios.batching import named, starts
from tests.scenarios.world import World

pytestmark = pytest.mark.usefixtures("each_order")


async def test_a_lowered_limit_applies_to_a_lane_that_is_empty_between_its_deliveries() -> None:
    async with World() as world:
        world.subscribe("crm")
        await world.worker()
        await asyncio.sleep(0.1)
        await trickle(world, 10)
        world.subscribe("crm", rate_limit=0.5)
        lowered = asyncio.get_running_loop().time()
        await trickle(world, 110)

        # Those of the two seconds in which it takes effect, then one each two seconds of the other 53.
        assert sum(at > lowered for at in starts(world, "crm")) <= 2 / 0.5 + 53 / 2 + 1


async def trickle(world: World, count: int) -> None:
    for number in range(count):
        world.publish(f"e{number}-{count}")
        await asyncio.sleep(0.5)


async def test_a_raised_limit_applies_to_what_waits_for_slots_of_the_lower_one() -> None:
    async with World() as world:
        world.subscribe("crm", rate_limit=0.001)
        await world.worker()
        world.publish(*named(100))
        await asyncio.sleep(30)
        world.subscribe("crm", rate_limit=50)
        await world.until(world.settled, within=15)

        assert world.accepted("crm") == dict.fromkeys(named(100), 1)
