"""A subscription that is deleted and created again gets nothing of its id's earlier life."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest
from tests.doubles.endpoint import Switch, status
from tests.scenarios.world import World

from hookstream.core.model.instant import MINUTE, SECOND
from hookstream.core.model.subscription import Gap, SubscriptionState

DUE_AFTER = 300


@pytest.mark.parametrize("again_after", [60, DUE_AFTER - 1])
async def test_a_retry_of_the_earlier_life_is_cancelled_whenever_its_id_is_used_again(
    again_after: int,
) -> None:
    """What is due before that is cancelled anyway; the same must not go to another endpoint because it is due later."""
    async with World() as world:
        switch = Switch(status(500))
        world.endpoints.script("crm", switch)
        earlier = world.subscribe("crm", schedule=(DUE_AFTER * SECOND,))
        await world.worker()
        world.publish("before")
        await world.until(lambda: len(world.endpoints.to("crm")) == 1)
        deleted = replace(earlier, state=SubscriptionState.DELETED, revision=2)
        world.directory.put_subscription(deleted)
        await asyncio.sleep(again_after)
        switch.behaviour = status(204)
        world.subscribe("crm", active_from=world.clock.now() + 2 * SECOND)
        await asyncio.sleep(3)
        world.publish("after")

        await world.until(world.settled, within=900)

        assert world.accepted("crm") == Counter({"after": 1})
        assert world.dead() == []


async def test_what_a_subscription_was_created_for_is_retried_though_it_is_older() -> None:
    """Of a past that its replay left, such as a record whose schema came late, workers deliver the rest."""
    async with World() as world:
        begin = world.clock.now()
        await asyncio.sleep(1)
        world.codec.published.clear()
        world.publish("e1")
        await asyncio.sleep(1)
        crm = world.subscribe("crm", active_from=world.clock.now(), schedule=(MINUTE,))
        past = Gap(begin, crm.active_from, "started", "job-1", incomplete=True)
        world.directory.put_subscription(replace(crm, gaps=(past,)))
        switch = Switch(status(500))
        world.endpoints.script("crm", switch)
        await world.worker()
        await asyncio.sleep(5)
        world.codec.publish("pricing.completed")
        await world.until(lambda: len(world.endpoints.to("crm")) == 1)
        switch.behaviour = status(204)

        await world.until(world.settled, within=900)

        assert world.accepted("crm") == Counter({"e1": 1})
