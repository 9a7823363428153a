"""Isolation: what limits, breakers and slots do to a backlog and to neighbours."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise

import pytest
from tests.doubles.endpoint import Behaviour, Switch, Throttle, hang, refuse_connections, status
from tests.scenarios.world import TIERS, World

from hookstream.core.model.instant import HOUR, MINUTE, SECOND
from hookstream.core.model.record import header_text
from hookstream.core.model.subscription import UnreadableSubscription
from hookstream.pipeline.engine import EngineRules

pytestmark = pytest.mark.timeout(240)

LONG = (5 * SECOND, 30 * SECOND, MINUTE, 5 * MINUTE, 30 * MINUTE, HOUR)


def busiest(world: World, subscription_id: str, seconds: float = 1.0) -> int:
    """Return the most attempts that began within so many seconds."""
    at = [request.at for request in world.endpoints.to(subscription_id)]
    return max(sum(1 for other in at if begin <= other < begin + seconds) for begin in at)


def percentile(values: Iterable[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def writes_of(world: World, subscription_id: str) -> int:
    return sum(
        header_text(record.headers, "hs-subscription-id") == subscription_id
        for record in world.tier_writes()
    )


async def test_a_backlog_above_the_rate_limit_drains_at_the_limit_and_is_written_few_times() -> (
    None
):
    async with World() as world:
        world.subscribe("limited", rate_limit=10)
        world.subscribe("fine")
        await world.worker()
        events = [f"e{n}" for n in range(600)]
        world.publish(*events)
        began = asyncio.get_running_loop().time()
        await world.until(lambda: len(world.accepted("fine")) == 600, within=2)

        await world.until(world.settled, within=600, step=1)

        took = asyncio.get_running_loop().time() - began
        assert world.accepted("limited") == Counter(dict.fromkeys(events, 1))
        assert took <= 1.2 * 60
        assert busiest(world, "limited") <= 12
        assert writes_of(world, "limited") <= 5 * 600
        assert writes_of(world, "fine") == 0
        assert world.metrics.deferrals["rate_limited"] > 0


async def test_new_events_of_a_limited_endpoint_come_between_those_of_its_backlog() -> None:
    async with World() as world:
        world.subscribe("limited", rate_limit=10)
        await world.worker()
        world.publish(*[f"old{n}" for n in range(600)])
        await asyncio.sleep(20)
        published = asyncio.get_running_loop().time()
        world.publish(*[f"new{n}" for n in range(5)])

        await world.until(world.settled, within=600, step=1)

        at = {
            json.loads(request.post.body)["id"]: request.at
            for request in world.endpoints.to("limited")
        }
        assert max(at[f"new{n}"] for n in range(5)) - published < 3


async def test_workers_share_a_rate_limit_by_the_partitions_that_they_own() -> None:
    async with World(partitions=4, tier_partitions=4) as world:
        world.subscribe("limited", rate_limit=10, schedule=LONG)
        await world.worker()
        await world.worker()
        world.publish(*[f"e{n}" for n in range(400)])
        began = asyncio.get_running_loop().time()

        await world.until(world.settled, within=600, step=1)

        assert len(world.accepted("limited")) == 400
        assert busiest(world, "limited", 10.0) <= 110
        assert asyncio.get_running_loop().time() - began <= 1.2 * 40 + 10


async def test_a_restarted_worker_keeps_the_slots_of_its_predecessor() -> None:
    async with World() as world:
        world.subscribe("limited", rate_limit=10)
        first = await world.worker()
        world.publish(*[f"e{n}" for n in range(600)])
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(10)
        await first.kill()

        await world.worker()
        await world.until(world.settled, within=600, step=1)

        assert set(world.accepted("limited")) == {f"e{n}" for n in range(600)}
        assert busiest(world, "limited") <= 14
        assert asyncio.get_running_loop().time() - began <= 1.3 * 60
        assert writes_of(world, "limited") <= 5 * 600


async def test_what_waits_for_a_breaker_probes_within_a_quarter_of_a_second_of_its_time() -> None:
    async with World() as world:
        world.subscribe("down", schedule=(HOUR,) * 10)
        world.endpoints.script("down", refuse_connections())
        await world.worker()
        for number in range(40):
            world.publish(f"e{number}")
            await asyncio.sleep(1)
        await asyncio.sleep(300)

        at = [request.at for request in world.endpoints.to("down")]
        gaps = [later - earlier for earlier, later in pairwise(at) if later - earlier > 25]
        assert len(gaps) >= 8
        assert max(gaps) <= 30 + 0.27


async def test_a_dead_endpoint_is_probed_and_its_backlog_drains_as_soon_as_it_recovers() -> None:
    async with World() as world:
        down = Switch(refuse_connections())
        world.subscribe("down", schedule=LONG, max_in_flight=8)
        world.subscribe("fine")
        world.endpoints.script("down", down)
        await world.worker()
        for minute in range(15):
            world.publish(*[f"e{minute}-{n}" for n in range(40)])
            await asyncio.sleep(60)
        probes = len(world.endpoints.to("down"))
        down.behaviour = status(204, after=0.1)
        back = asyncio.get_running_loop().time()

        await world.until(lambda: len(world.accepted("down")) >= 590, within=600, step=1)

        first_success = world.endpoints.accepted("down")[0].at
        drained = asyncio.get_running_loop().time()
        assert probes <= 15 * 60 / 30 + 8
        assert first_success - back <= 30
        assert drained - first_success <= 1.2 * 600 * 0.1 / 8 + 5
        assert writes_of(world, "down") <= 5 * 600
        assert world.metrics.deferrals["breaker_open"] > 0
        assert world.logger.events("warning").count("breaker.opened") == 1
        assert len(world.accepted("fine")) == 600
        await world.until(world.settled, within=2 * 3600, step=5)
        assert world.dead() == []


async def test_an_endpoint_that_throttles_is_slowed_to_what_it_accepts() -> None:
    async with World() as world:
        throttle = Throttle(20, after=0.005)
        world.subscribe("busy", schedule=LONG * 3)
        world.subscribe("fine")
        world.endpoints.script("busy", throttle)
        await world.worker()
        for _ in range(60):
            world.publish(*[f"e{asyncio.get_running_loop().time()}-{n}" for n in range(10)])
            await asyncio.sleep(1)

        await world.until(world.settled, within=7200, step=5)

        assert len(world.accepted("busy")) == 600
        # Without slowing down, nine of each burst of ten would be answered 429.
        assert throttle.turned_away <= 120


async def test_an_event_for_ten_thousand_subscriptions_takes_the_memory_of_a_hundred() -> None:
    rules = EngineRules(tiers=TIERS, max_deliveries=100, max_in_flight=50)
    async with World(rules=rules) as world:
        for number in range(10_000):
            world.subscribe(f"s{number}")
        world.endpoints.default = status(204, after=0.01)
        worker = await world.worker()
        in_hand: list[int] = []

        def all_sent() -> bool:
            lanes = worker.engine.lanes
            in_hand.append(lanes.waiting + lanes.in_flight)
            return len(world.endpoints.requests) == 10_000

        world.publish("e1")
        await world.until(all_sent, within=60, step=0.007)
        await world.until(world.settled)

        assert 25 <= max(in_hand) <= 101
        assert (
            len({request.post.subscription_id for request in world.endpoints.requests}) == 10_000
        )
        assert world.tier_writes() == []


async def healthy_delays(
    trouble: Mapping[int, Behaviour], *, endpoints: int, rate: int, seconds: int, cap: int
) -> list[float]:
    """Send `rate` events a second, each to the next endpoint; return the delays of the healthy.

    What did not arrive within five seconds after the last one was sent counts as an hour late.
    """
    rules = EngineRules(tiers=TIERS, max_in_flight=cap)
    async with World(rules=rules, partitions=3) as world:
        for number in range(endpoints):
            name = f"s{number}"
            world.subscribe(name, pattern={"data": {"to": [name]}}, max_in_flight=32)
            world.endpoints.script(name, trouble.get(number, status(204, after=0.02)))
        await world.worker()
        loop = asyncio.get_running_loop()
        sent: dict[str, float] = {}
        for number in range(rate * seconds):
            to = number % endpoints
            sent[f"e{number}-{to}"] = loop.time()
            world.publish(f"e{number}-{to}", data={"to": f"s{to}"})
            await asyncio.sleep(1 / rate)
        await asyncio.sleep(5)
        arrived = {
            json.loads(request.post.body)["id"]: request.at
            for request in world.endpoints.requests
            if request.answer is not None
        }
        return [
            arrived.get(event_id, 3600 + at) - at
            for event_id, at in sent.items()
            if int(event_id.rpartition("-")[2]) not in trouble
        ]


async def test_two_of_twenty_endpoints_hang_and_the_others_are_not_affected() -> None:
    """Hang rate times timeout is 300: six times the cap of attempts."""
    shape = {"endpoints": 20, "rate": 200, "seconds": 16, "cap": 48}
    without = await healthy_delays({}, **shape)

    delays = await healthy_delays({3: hang(), 11: hang()}, **shape)

    assert percentile(without, 0.99) < 0.01
    assert percentile(delays, 0.99) <= 2 * percentile(without, 0.99) + 0.001
    assert max(delays) < 0.1


async def test_endpoints_with_all_kinds_of_failures_do_not_affect_their_neighbours() -> None:
    """A fifth of them hang, are down, break, throttle or are slow."""
    shape = {"endpoints": 50, "rate": 250, "seconds": 10, "cap": 40}
    trouble: dict[int, Behaviour] = {number: hang() for number in (2, 17, 31, 45)}
    trouble |= {number: refuse_connections() for number in (5, 29)}
    trouble |= {8: status(500, after=0.5), 9: Throttle(1), 40: status(204, after=4.0)}
    without = await healthy_delays({}, **shape)

    delays = await healthy_delays(trouble, **shape)

    assert percentile(delays, 0.99) <= 2 * percentile(without, 0.99) + 0.001
    assert max(delays) < 0.1


async def test_two_endpoints_of_weights_one_and_three_share_a_worker_one_to_three() -> None:
    rules = EngineRules(tiers=TIERS, max_in_flight=12)
    async with World(rules=rules, partitions=4) as world:
        world.subscribe("light", max_in_flight=100, weight=1)
        world.subscribe("heavy", max_in_flight=100, weight=3)
        world.endpoints.default = status(204, after=0.1)
        await world.worker()
        world.publish(*[f"e{n}" for n in range(2_000)])
        await asyncio.sleep(2)
        before = Counter(request.post.subscription_id for request in world.endpoints.requests)

        await asyncio.sleep(4)

        begun = Counter(request.post.subscription_id for request in world.endpoints.requests)
        begun -= before
        assert begun.total() == pytest.approx(4 * 12 / 0.1, abs=12)
        assert begun["heavy"] == pytest.approx(3 * begun["light"], abs=4)
        await world.until(world.settled)
        assert world.accepted("light") == world.accepted("heavy")


async def delays_beside_a_flood(*, flood_at: int, every: int, partition: int) -> list[float]:
    """Publish 5,000 events for an endpoint that takes 100 a second, and some for a neighbour.

    Returns how many seconds each of the neighbour's took, one `every` so many seconds.
    """
    async with World(partitions=2) as world:
        for name, most in (("flooded", 10), ("sparse", 8)):
            world.subscribe(name, pattern={"data": {"to": [name]}}, max_in_flight=most)
        world.endpoints.script("flooded", status(204, after=0.1))
        await world.worker()
        loop = asyncio.get_running_loop()
        sent: dict[str, float] = {}
        for second in range(flood_at + 60):
            if second == flood_at:
                flood = [f"a{number}" for number in range(5_000)]
                world.publish(*flood, data={"to": "flooded"}, partition=0)
            if second % every == 0:
                sent[f"b{second}"] = loop.time()
                world.publish(f"b{second}", data={"to": "sparse"}, partition=partition)
            await asyncio.sleep(1)
        await world.until(world.settled, step=1)
        assert len(world.accepted("flooded")) == 5_000
        arrived = {
            json.loads(request.post.body)["id"]: request.at
            for request in world.endpoints.to("sparse")
        }
        return [arrived[event_id] - at for event_id, at in sent.items()]


@pytest.mark.parametrize("partition", [0, 1])
async def test_a_flood_does_not_delay_a_neighbour_that_gets_an_event_now_and_then(
    partition: int,
) -> None:
    """If the neighbour's events are in the same partition, they are behind the flood."""
    assert max(await delays_beside_a_flood(flood_at=60, every=30, partition=partition)) <= 2


async def test_a_flood_does_not_delay_a_neighbour_that_was_idle_in_another_partition() -> None:
    assert max(await delays_beside_a_flood(flood_at=2, every=7, partition=1)) <= 2


async def test_a_lane_that_was_filled_before_its_row_could_be_read_keeps_the_row_s_limits() -> (
    None
):
    async with World() as world:
        readable = world.subscribe("crm", max_in_flight=1)
        world.endpoints.script("crm", status(204, after=0.2))
        world.directory.put_subscription(
            UnreadableSubscription("crm", "acme", readable.event_types, 0, (), "a lost key")
        )
        await world.worker()
        world.publish(*[f"e{n}" for n in range(10)])
        await asyncio.sleep(2)
        world.directory.put_subscription(readable)

        await world.until(world.settled)

        assert sum(world.accepted("crm").values()) == 10
        assert world.endpoints.peak_in_flight["crm"] == 1


async def test_waiting_deliveries_stay_within_their_memory_bound_however_small_each_is() -> None:
    """The objects of a waiting delivery take five times its record's bytes: they count, too."""
    rules = EngineRules(tiers=TIERS, waiting_room_bytes=1 << 20)
    async with World(rules=rules) as world:
        world.subscribe("down", schedule=LONG)
        world.endpoints.script("down", refuse_connections())
        worker = await world.worker()
        for minute in range(20):
            world.publish(*[f"e{minute}-{n}" for n in range(200)])
            await asyncio.sleep(60)

        waiting = len(worker.engine.room)

        assert writes_of(world, "down") >= 4_000
        # What was already fetched when its partition was paused comes on top.
        assert 100 < waiting < (1 << 20) / 2_000 + 200
