"""A rate limit counts requests: a paced lane fills each of them, and copies no more than it must."""

import asyncio
import itertools
from dataclasses import replace

import pytest
from tests.doubles.endpoint import status
from tests.scenarios.batching import batching, named, sent, starts
from tests.scenarios.world import TIERS, World

from hookstream.core.model.outcome import Words
from hookstream.pipeline.engine import EngineRules

pytestmark = pytest.mark.usefixtures("each_order")


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
        assert len(sent(world, "crm")) <= 10


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


@pytest.mark.parametrize(("rate", "wait"), [(0.02, 200), (0.1, 200), (0.1, 0)])
async def test_a_slow_pace_fills_its_batches_too_and_holds_up_no_neighbour(
    rate: float, wait: int
) -> None:
    async with World() as world:
        batching(world, "crm", max_events=100, max_wait=wait, rate_limit=rate)
        world.subscribe("fine")
        await world.worker()
        world.publish(*named(500))
        await world.until(lambda: sum(world.accepted("fine").values()) == 500, within=2)
        await world.until(world.settled, within=400, step=1)

        assert world.accepted("crm") == dict.fromkeys(named(500), 1)
        assert len(sent(world, "crm")) <= 6
        apart = [later - earlier for earlier, later in itertools.pairwise(starts(world, "crm"))]
        # A limiter's burst is a tenth of a second.
        assert all(seconds > 1 / rate - 0.15 for seconds in apart)
        assert len(world.tier_writes()) <= 600


async def test_workers_that_share_a_rate_limit_fill_their_batches() -> None:
    async with World(partitions=4, tier_partitions=4) as world:
        batching(world, "crm", max_events=50, rate_limit=0.5)
        for _ in range(4):
            await world.worker()
        await asyncio.sleep(10)
        world.publish(*named(800))
        await world.until(world.settled, within=120, step=0.5)

        assert world.accepted("crm") == dict.fromkeys(named(800), 1)
        # Each worker's last batch, and its first while its batches' sizes are not known, may be smaller.
        assert len(sent(world, "crm")) <= 800 / 50 + 8


async def test_an_endpoint_that_allows_one_request_at_a_time_gets_full_ones() -> None:
    async with World() as world:
        batching(world, "crm", max_events=50, max_wait=0, max_in_flight=1)
        world.endpoints.script("crm", status(204, words=Words(ratelimit='"default";r=0;t=20')))
        world.subscribe("fine")
        await world.worker()
        world.publish(*named(500))
        await world.until(world.settled, within=400, step=1)

        assert world.accepted("crm") == dict.fromkeys(named(500), 1)
        assert len(sent(world, "crm")) <= 500 / 50 + 3
        rests = [later - earlier for earlier, later in itertools.pairwise(starts(world, "crm"))]
        assert all(seconds >= 20 for seconds in rests)


async def test_after_an_outage_a_paced_lane_delivers_what_waited_in_full_batches() -> None:
    async with World() as world:
        batching(world, "crm", max_events=50, rate_limit=0.1, schedule=(5_000,) * 20)
        world.endpoints.script("crm", *[status(503)] * 8, status(204))
        await world.worker()
        world.publish(*named(300))
        await world.until(world.settled, within=1_000, step=1)

        assert world.accepted("crm") == dict.fromkeys(named(300), 1)
        sizes = [len(each) for each in sent(world, "crm")[8:]]
        # The probe and the last one may be smaller, and one with what failed and was not due before.
        assert len(sizes) <= 300 / 50 + 3
        at: dict[str, list[float]] = {}
        for when, members in zip(starts(world, "crm"), sent(world, "crm"), strict=True):
            for event in members:
                at.setdefault(event, []).append(when)
        # No retry is early.
        assert all(
            later - earlier >= 5
            for times in at.values()
            for earlier, later in itertools.pairwise(times)
        )
