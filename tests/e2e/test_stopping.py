"""What stops deliveries, on real Kafka: an operator's hold, and days of nothing but failures."""

import asyncio

import pytest
from examples.demo.log import Entry
from tests.e2e.world import World, until, until_accepted

pytestmark = pytest.mark.timeout(400)


async def test_what_is_held_waits_in_tiers_and_arrives_when_the_hold_is_cleared(
    world: World,
) -> None:
    crm = await world.subscribe("crm")
    await world.stage.start_worker()
    first = await world.publish(1)
    await until_accepted(crm, first, 60)
    await world.stage.hookstream("hold", "set", "partner", "crm", "--reason", "they asked")
    await until_the_worker_knows_of_a_hold(world)
    held = await world.publish(3)
    # Each is written again whenever its five seconds are over, so there may be more than three.
    waiting = await until_waiting(world, {each.event_id for each in held})

    assert {tier.headers["hs-deferred-reason"] for tier in waiting} == {"held"}
    assert len(crm.statuses) == 1
    await world.stage.hookstream("hold", "clear", "partner", "crm")

    await until_accepted(crm, held, 60)
    await world.until_settled(60)
    assert len(crm.statuses) == 4
    assert await world.read("dead-letters") == []


async def until_the_worker_knows_of_a_hold(world: World) -> None:
    """Wait until the worker counts a hold; the test's timeout ends it."""
    known = "\nhookstream_holds 1.0\n"
    while known not in await world.stage.ask_worker("/metrics"):  # noqa: ASYNC110  nothing notifies
        await asyncio.sleep(0.1)


async def until_waiting(world: World, event_ids: set[str]) -> list[Entry]:
    """Wait until just these events' deliveries are in the smallest tier, and return its records."""
    while True:
        waiting = await world.read("retry.5s")
        found = {tier.headers["hs-event-id"] for tier in waiting}
        assert found <= event_ids
        if found == event_ids:
            return waiting
        await asyncio.sleep(0.2)


async def test_an_endpoint_that_only_fails_is_disabled_and_operators_are_notified(
    world: World,
) -> None:
    world.stage.environ["HOOKSTREAM_HEALTH__DISABLE_AFTER"] = "3s"
    world.stage.environ["HOOKSTREAM_HEALTH__DISABLE_ATTEMPTS"] = "3"
    crm = await world.subscribe("crm", schedule=f"[{', '.join(['1s'] * 20)}]")
    notified_types = "[endpoint.disabled, delivery.dead_lettered]"
    ops = await world.subscribe("ops", types=notified_types, operator=True)
    other = await world.subscribe("other", types=notified_types)

    async def down(_: object, __: int) -> int:
        return 500

    crm.answer(down)
    await world.stage.start_worker()
    [sent] = await world.publish(1)
    await until(lambda: len(ops.bodies) == 2, 60, lambda: ops.bodies)
    await world.until_settled(60)

    data = {body["type"]: body["data"] for body in ops.bodies.values()}
    disabled, dead = data["endpoint.disabled"], data["delivery.dead_lettered"]
    assert (disabled["subscription_id"], disabled["partner_id"], disabled["reason"]) == (
        "crm",
        "crm",
        "failing",
    )
    assert disabled["evidence"].startswith("nothing but failures since ")
    assert (dead["event_id"], dead["reason"]) == (sent.event_id, "disabled")
    [dead_letter] = await world.read("dead-letters")
    assert (dead_letter.headers["hs-event-id"], dead_letter.headers["hs-reason"]) == (
        sent.event_id,
        "disabled",
    )
    states = {each["id"]: each["state"] for each in await world.ask("subscriptions", "list")}
    assert states == {"crm": "disabled", "ops": "active", "other": "active"}
    assert other.statuses == []
