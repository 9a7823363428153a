"""Nothing is sent by tables that are out of date, and waiting for them changes nothing else."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.doubles.endpoint import hang, status
from tests.scenarios.world import World

from hookstream.core.model.hold import Hold, HoldKind
from hookstream.core.model.instant import MINUTE, SECOND
from hookstream.core.model.record import header_text
from hookstream.core.model.subscription import Grant, Partner, SubscriptionState

QUICK = status(204, after=0.05)


def delete(world: World, subscription_id: str) -> None:
    found = world.directory.subscriptions[subscription_id]
    world.directory.put_subscription(replace(found, state=SubscriptionState.DELETED))  # type: ignore[arg-type]


def hold(world: World, subscription_id: str) -> None:
    world.directory.holds.put(Hold(HoldKind.ENDPOINT, subscription_id, world.clock.now(), "stop"))


def narrow(world: World, _: str) -> None:
    grant = Grant(event_types=("order.*",), environments=("*",))
    world.directory.put_partner(Partner("acme", "Acme", grant))


CHANGES = pytest.mark.parametrize("change", [delete, hold, narrow])


async def flow(world: World, *, name: str, every: float, seconds: float) -> None:
    """Publish an event again and again."""
    for number in range(round(seconds / every)):
        world.publish(f"{name}{number}")
        await asyncio.sleep(every)


@pytest.mark.parametrize("seconds", [0.5, 2.0, 10.0, 60.0])
async def test_tables_that_are_not_current_for_a_while_defer_nothing(seconds: float) -> None:
    """Two healthy endpoints with a queue each: neither counts as slow, and both continue at once."""
    async with World(partitions=2) as world:
        for name in ("crm", "erp"):
            world.subscribe(name, max_in_flight=4)
            world.endpoints.script(name, QUICK)
        await world.worker()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(flow(world, name="e", every=0.02, seconds=4 + seconds))
            await asyncio.sleep(3)
            world.tables.stale = True
            began = asyncio.get_running_loop().time()
            await asyncio.sleep(seconds)
            during = [each for each in world.endpoints.requests if each.at > began]
            world.tables.stale = False
            over = asyncio.get_running_loop().time()
        await world.until(world.settled, within=120)

        assert during == []
        assert world.tier_writes() == []
        for name in ("crm", "erp"):
            assert min(each.at for each in world.endpoints.to(name) if each.at > began) < over + 1
            assert set(world.accepted(name).values()) == {1}
        assert world.metrics.outcomes.keys() == {"delivered"}
        assert world.logger.events("warning") == []


@CHANGES
async def test_what_waits_in_a_lane_is_not_sent_by_a_worker_that_is_cut_off(
    change: Callable[[World, str], None],
) -> None:
    """Its tables are those from before the link broke; the row that matters is not among them."""
    async with World() as world:
        world.subscribe("crm", max_in_flight=1)
        world.endpoints.script("crm", status(204, after=0.2))
        await world.worker()
        world.publish(*(f"e{n}" for n in range(20)))
        await world.until(lambda: len(world.endpoints.requests) == 3)
        world.tables.stale = True
        await asyncio.sleep(30)
        assert len(world.endpoints.requests) == 3

        change(world, "crm")
        world.tables.stale = False
        await asyncio.sleep(30)

        assert len(world.endpoints.requests) == 3


@CHANGES
async def test_a_change_while_connecting_applies_to_the_request(
    change: Callable[[World, str], None],
) -> None:
    """A handshake takes seconds; the first byte depends on the state after it, not before."""
    async with World() as world:
        world.subscribe("crm")
        world.endpoints.connects_after["crm"] = 3.0
        await world.worker()
        world.publish("e1")
        await asyncio.sleep(1)
        change(world, "crm")
        await asyncio.sleep(10)

        assert world.endpoints.requests == []


async def test_a_secret_that_is_rotated_during_the_dial_signs_the_request() -> None:
    async with World() as world:
        before = world.subscribe("crm")
        world.endpoints.connects_after["crm"] = 3.0
        await world.worker()
        world.publish("e1")
        await asyncio.sleep(1)
        url = "https://other.example/hook"
        world.directory.put_subscription(
            replace(before, endpoint=replace(before.endpoint, url=url))
        )
        await world.until(world.settled)

        assert [each.post.url for each in world.endpoints.requests] == [url]


async def test_an_attempt_that_was_withheld_counts_for_nothing() -> None:
    async with World() as world:
        world.subscribe("crm", expires_after=MINUTE)
        world.endpoints.connects_after["crm"] = 1.0
        await world.worker()
        world.publish("e1")
        await asyncio.sleep(0.5)
        world.tables.stale = True
        await asyncio.sleep(20)
        assert world.metrics.outcomes == {}
        world.tables.stale = False
        await world.until(world.settled)

        [request] = world.endpoints.requests
        assert request.header("hookstream-attempt") == "1"
        assert world.metrics.outcomes == {"delivered": 1}
        assert len(world.broker.records(world.topics.attempts)) == 1


async def test_a_wait_for_tables_moves_no_expiry() -> None:
    async with World() as world:
        world.subscribe("crm", max_in_flight=1, expires_after=10 * MINUTE)
        world.endpoints.script("crm", status(500, after=0.2))
        await world.worker()
        world.publish("e1", "e2")
        await asyncio.sleep(0.1)
        world.tables.stale = True
        await asyncio.sleep(60)
        world.tables.stale = False
        await world.until(lambda: len(world.tier_writes()) == 2)

        expiries = [header_text(each.headers, "hs-expires-at") for each in world.tier_writes()]
        assert expiries == ["2026-11-24T12:10:00.000Z"] * 2


async def test_a_worker_that_waits_for_its_tables_drains_at_once() -> None:
    async with World() as world:
        world.subscribe("crm", max_in_flight=1)
        world.endpoints.script("crm", QUICK)
        worker = await world.worker()
        world.publish(*(f"e{n}" for n in range(20)))
        await world.until(lambda: len(world.endpoints.requests) >= 2)
        world.tables.stale = True
        await asyncio.sleep(5)
        sent = len(world.endpoints.requests)
        began = asyncio.get_running_loop().time()

        assert await worker.terminate()

        assert asyncio.get_running_loop().time() - began < 0.5
        assert len(world.endpoints.requests) == sent < 20


async def test_an_attempt_that_is_withheld_while_the_worker_drains_is_handed_back() -> None:
    async with World() as world:
        world.subscribe("crm")
        world.endpoints.connects_after["crm"] = 1.0
        worker = await world.worker()
        world.publish("e1")
        await asyncio.sleep(0.5)
        world.tables.stale = True

        assert await worker.terminate()
        assert not world.settled()

        world.tables.stale = False
        await world.worker()
        await world.until(world.settled)
        assert world.accepted("crm") == {"e1": 1}


async def test_an_attempt_that_is_withheld_after_its_partition_went_is_not_made() -> None:
    async with World() as world:
        world.subscribe("crm")
        world.endpoints.connects_after["crm"] = 3.0
        await world.worker()
        world.publish("e1")
        await asyncio.sleep(1)
        world.tables.stale = True
        await world.broker.move(world.topics.group)
        second = await world.worker()
        await world.broker.move(world.topics.group)
        await asyncio.sleep(5)
        world.tables.stale = False
        await world.until(world.settled)

        assert world.accepted("crm") == {"e1": 1}
        assert await second.terminate()


async def test_an_attempt_that_hangs_still_times_out_while_the_tables_are_not_current() -> None:
    """A request that is out already belongs to its endpoint, whatever the tables do."""
    async with World() as world:
        world.subscribe("crm", timeout=2 * SECOND)
        world.endpoints.script("crm", hang(), QUICK)
        await world.worker()
        world.publish("e1")
        await asyncio.sleep(1)
        world.tables.stale = True
        await world.until(lambda: world.metrics.outcomes == {"failed": 1}, within=5)
        world.tables.stale = False
        await world.until(world.settled)

        assert world.accepted("crm") == {"e1": 1}
