"""What a receiver says in the head of its answer acts on a real broker and a real worker."""

import pytest
from tests.e2e.world import World, until_accepted, until_status

pytestmark = pytest.mark.timeout(400)


async def test_a_receiver_disables_its_subscription_with_a_refusal_and_with_a_success(
    world: World,
) -> None:
    crm = await world.subscribe("crm")
    up = False

    async def answer(_: object, __: int) -> int:
        return 204 if up else 500

    crm.answer(answer)
    crm.receiver.words = {"Webhook-Delivery": "Disable"}
    await world.stage.start_worker()
    [refused] = await world.publish(1)
    await until_status(crm, 500, 20)
    await world.until_settled(60)
    [found] = await world.ask("subscriptions", "list")
    assert (found["state"], found["reason"]) == ("disabled", "asked")
    [dead_letter] = await world.read("dead-letters")
    assert (dead_letter.headers["hs-event-id"], dead_letter.headers["hs-reason"]) == (
        refused.event_id,
        "asked",
    )

    up = True
    await world.stage.hookstream("subscriptions", "enable", "crm", "--no-replay")
    [accepted] = await world.publish(1)
    await until_accepted(crm, [accepted], 60)
    await world.until_settled(60)
    [again] = await world.ask("subscriptions", "list")
    assert (again["state"], again["reason"]) == ("disabled", "asked")
    assert len(await world.read("dead-letters")) == 1

    crm.receiver.words = {}
    await world.stage.hookstream("subscriptions", "enable", "crm", "--no-replay")
    await world.stage.hookstream("dlq", "redrive", "--reason", "asked", "--yes")
    await until_accepted(crm, [refused], 60)
    assert crm.statuses == [500, 204, 204]


async def test_a_receiver_aborts_a_delivery_and_rests_its_lane(world: World) -> None:
    crm = await world.subscribe("crm")
    fine = await world.subscribe("fine")

    async def refuse(_: object, __: int) -> int:
        return 400

    crm.answer(refuse)
    crm.receiver.words = {"webhook-delivery": "abort-message"}
    await world.stage.start_worker()
    [aborted] = await world.publish(1)
    await until_status(crm, 400, 20)
    await world.until_settled(60)
    [dead_letter] = await world.read("dead-letters")
    assert (dead_letter.headers["hs-reason"], dead_letter.headers["hs-attempt"]) == (
        "aborted",
        "1",
    )

    crm.answer(None)
    crm.receiver.words = {"RateLimit": '"default";r=0;t=4'}
    [last] = await world.publish(1)
    await until_accepted(crm, [last], 60)
    crm.receiver.words = {}
    later = await world.publish(3)
    await until_accepted(fine, later, 60)
    await until_accepted(crm, later, 60)
    await world.until_settled(60)
    before, after = crm.receiver.book.entries[1:3]
    assert after.at - before.at >= 4
    assert [entry.attempt for entry in crm.receiver.book.entries] == [1, 1, 1, 1, 1]
    assert aborted.event_id not in crm.accepted
    [state] = [each for each in await world.ask("subscriptions", "list") if each["id"] == "crm"]
    assert state["state"] == "active"
