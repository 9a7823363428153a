"""A rate limit counts requests: a paced lane fills each of them, and copies no more than it must."""

import asyncio
import itertools
from dataclasses import replace

import pytest
from tests.scenarios.batching import batching, named, sent, starts
from tests.scenarios.world import TIERS, World

from hookstream.pipeline.engine import EngineRules


async def test_a_lane_with_a_rate_limit_delivers_that_many_batches_a_second_and_copies_nothing() -> (
    None
):
    async with World() as world:
        batching(world, "crm", max_events=100, rate_limit=1)
        await world.worker()
        began = asyncio.get_running_loop().time()
        for second in range(8):
            world.publish(*named(100, f"s{second}-"))
            await asyncio.sleep(1)
        await world.until(world.settled, step=0.1)

        assert sum(world.accepted("crm").values()) == 800
        assert asyncio.get_running_loop().time() - began < 12
        assert world.tier_writes() == []
        at = starts(world, "crm")
        assert all(later - earlier > 0.85 for earlier, later in itertools.pairwise(at))


@pytest.mark.parametrize("rate", [0.2, 0.5, 1])
async def test_a_backlog_above_a_rate_limit_drains_in_full_batches(rate: float) -> None:
    async with World() as world:
        batching(world, "crm", max_events=100, rate_limit=rate)
        world.subscribe("fine")
        await world.worker()
        world.publish(*named(1_000))
        await world.until(world.settled, step=0.1)

        assert sum(world.accepted("crm").values()) == 1_000
        sizes = [len(each) for each in sent(world, "crm")]
        assert sizes[:9] == [100] * 9
        assert len(sizes) <= 12
        # Each of the others is copied to a tier once.
        assert len(world.tier_writes()) <= 900


async def test_a_paced_lane_that_gets_batches_later_delivers_as_many_as_they_hold() -> None:
    async with World() as world:
        batches = batching(world, "crm", max_events=100, rate_limit=1)
        world.directory.put_subscription(replace(batches, batch=None))
        await world.worker()
        world.publish(*named(300))
        await asyncio.sleep(3)
        world.directory.put_subscription(batches)
        await world.until(world.settled, within=15)

        assert world.accepted("crm") == dict.fromkeys(named(300), 1)


async def test_a_paced_lane_fills_its_batches_again_after_large_bodies() -> None:
    async with World() as world:
        batching(world, "crm", max_events=100, rate_limit=1)
        await world.worker(EngineRules(tiers=TIERS, max_body_bytes=2_000))
        world.publish(*named(20, "large"), data={"x": "x" * 700})
        await world.until(world.settled, within=60)
        before = len(sent(world, "crm"))
        world.publish(*named(300))
        await world.until(world.settled, within=60)

        # Eleven small bodies fit.
        assert len(sent(world, "crm")) - before <= 300 / 11 + 10
        assert sum(world.accepted("crm").values()) == 320
