"""A hold stops every kind of attempt, loses nothing, ages nothing, and ends within five minutes."""

import asyncio
from collections import Counter

from tests.doubles.endpoint import Switch, status
from tests.scenarios.world import World

from hookstream.core.model.hold import ALL, Hold, HoldKind
from hookstream.core.model.instant import MINUTE, SECOND
from hookstream.core.model.record import OutgoingRecord
from hookstream.core.redrive.revive import Revival

EVERYTHING = Hold(HoldKind.EVERYTHING, ALL, 0, "a deploy")
FIVE_MINUTES = 5 * 60 + 2


async def test_new_events_retries_and_redrives_wait_while_everything_is_held_and_then_arrive() -> (
    None
):
    async with World() as world:
        switch = Switch(status(500))
        world.endpoints.script("crm", switch)
        world.subscribe("crm", schedule=(5 * SECOND,))
        await world.worker()
        world.publish("dead")
        await world.until(lambda: world.dead() != [])
        world.publish("retried")
        await world.until(lambda: len(world.endpoints.to("crm")) == 3)
        switch.behaviour = status(204)
        world.directory.holds.put(EVERYTHING)
        world.publish("new")
        redrive(world)
        await asyncio.sleep(20 * 60)
        assert len(world.endpoints.to("crm")) == 3
        world.directory.holds.drop(HoldKind.EVERYTHING, ALL)

        await world.until(lambda: len(world.accepted("crm")) == 3, within=FIVE_MINUTES)

        assert world.accepted("crm") == Counter({"dead": 1, "retried": 1, "new": 1})
        assert len(world.dead()) == 1
        assert world.metrics.deferrals["held"] > 0


async def test_a_hold_that_outlasts_an_expiry_expires_nothing() -> None:
    async with World() as world:
        world.subscribe("crm", expires_after=MINUTE)
        world.directory.holds.put(EVERYTHING)
        await world.worker()
        world.publish("e1")
        await asyncio.sleep(15 * 60)
        world.directory.holds.drop(HoldKind.EVERYTHING, ALL)

        await world.until(world.settled, within=FIVE_MINUTES)

        assert (world.accepted("crm"), world.dead()) == (Counter({"e1": 1}), [])


async def test_a_hold_of_a_quarter_of_an_hour_costs_few_tier_writes() -> None:
    """5s, 30s, 1m, then one write each five minutes."""
    async with World() as world:
        world.subscribe("crm")
        world.directory.holds.put(EVERYTHING)
        await world.worker()
        world.publish(*(f"e{number}" for number in range(100)))
        await asyncio.sleep(15 * 60)
        world.directory.holds.drop(HoldKind.EVERYTHING, ALL)

        await world.until(world.settled, within=FIVE_MINUTES)

        assert sum(world.accepted("crm").values()) == 100
        assert len(world.tier_writes()) <= 7 * 100


async def test_a_hold_of_seconds_costs_seconds() -> None:
    async with World() as world:
        world.subscribe("crm")
        world.directory.holds.put(EVERYTHING)
        await world.worker()
        world.publish("e1")
        await asyncio.sleep(3)
        world.directory.holds.drop(HoldKind.EVERYTHING, ALL)

        await world.until(world.settled, within=4)

        assert world.accepted("crm") == Counter({"e1": 1})


async def test_a_held_endpoint_does_not_affect_its_neighbour() -> None:
    async with World() as world:
        world.subscribe("crm")
        world.subscribe("orders")
        world.directory.holds.put(Hold(HoldKind.ENDPOINT, "crm", 0, "it drowns"))
        await world.worker()
        world.publish("e1", "e2")

        await world.until(lambda: len(world.accepted("orders")) == 2, within=1)
        await asyncio.sleep(60)

        assert world.endpoints.to("crm") == []


async def test_a_hold_set_while_deliveries_wait_in_a_lane_stops_them_there() -> None:
    async with World() as world:
        slow = Switch(status(204, after=1.0))
        world.endpoints.script("crm", slow)
        world.subscribe("crm", max_in_flight=1)
        await world.worker()
        world.publish(*(f"e{number}" for number in range(4)))
        await world.until(lambda: len(world.endpoints.to("crm")) == 1)
        world.directory.holds.put(EVERYTHING)

        await asyncio.sleep(60)
        under_hold = len(world.endpoints.to("crm"))
        world.directory.holds.drop(HoldKind.EVERYTHING, ALL)
        await world.until(world.settled, within=FIVE_MINUTES)

        assert under_hold == 1
        assert sum(world.accepted("crm").values()) == 4


async def test_what_waits_for_its_slot_waits_for_the_hold_from_then_on_and_does_not_age() -> None:
    """Its lane has no room either: that must not be the reported reason of the wait."""
    async with World() as world:
        world.endpoints.script("crm", status(204, after=50), status(204))
        world.subscribe("crm", max_in_flight=1, expires_after=30 * SECOND, timeout=MINUTE)
        await world.worker()
        world.publish("hangs")
        await asyncio.sleep(3)
        world.publish("waits")
        await world.until(lambda: world.metrics.deferrals["lane_full"] == 1)
        world.directory.holds.put(EVERYTHING)

        await asyncio.sleep(45)
        held = world.metrics.deferrals["held"]
        await asyncio.sleep(60)
        world.directory.holds.drop(HoldKind.EVERYTHING, ALL)
        await world.until(world.settled, within=FIVE_MINUTES)

        assert held > 0
        assert world.metrics.deferrals["lane_full"] == 1
        assert (world.accepted("crm"), world.dead()) == (Counter({"hangs": 1, "waits": 1}), [])


async def test_what_a_lane_defers_after_a_hold_was_set_waits_for_the_hold() -> None:
    async with World() as world:
        world.endpoints.script("crm", status(204, after=0.05), status(204, after=50), status(204))
        world.subscribe("crm", max_in_flight=1, expires_after=30 * SECOND, timeout=MINUTE)
        await world.worker()
        events = [f"e{number}" for number in range(5)]
        world.publish(*events)
        await world.until(lambda: len(world.endpoints.to("crm")) == 2)
        world.directory.holds.put(EVERYTHING)

        await asyncio.sleep(2)
        put_off = dict(world.metrics.deferrals)
        await asyncio.sleep(60)
        world.directory.holds.drop(HoldKind.EVERYTHING, ALL)
        await world.until(world.settled, within=FIVE_MINUTES)

        assert put_off == {"held": 3}
        assert (world.accepted("crm"), world.dead()) == (Counter(events), [])


async def test_a_worker_that_dies_during_a_hold_loses_nothing() -> None:
    async with World() as world:
        world.subscribe("crm")
        world.directory.holds.put(EVERYTHING)
        worker = await world.worker()
        world.publish("e1", "e2")
        await asyncio.sleep(40)
        await worker.kill()
        world.directory.holds.drop(HoldKind.EVERYTHING, ALL)
        await world.worker()

        await world.until(world.settled, within=2 * FIVE_MINUTES)

        assert set(world.accepted("crm")) == {"e1", "e2"}
        assert world.dead() == []


def redrive(world: World) -> None:
    """Produce the one dead letter into `retry.0s`, as a redrive does."""
    [dead_letter] = world.broker.records(world.topics.dead_letters)
    revival = Revival(world.topics.tier(0), lambda _: None, world.clock.now)
    back = revival.delivery(dead_letter)
    assert isinstance(back, OutgoingRecord)
    world.broker.append(back.topic, back.value, key=back.key, headers=back.headers)
