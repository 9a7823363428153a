"""A subscription that is deleted and created again gets nothing of its id's earlier life."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest
from tests.doubles.endpoint import Switch, status
from tests.scenarios.replaying import JOB, grant_ever, lives, replay
from tests.scenarios.world import World

from hookstream.core.model.hold import ALL, Hold, HoldKind
from hookstream.core.model.instant import MINUTE, SECOND
from hookstream.core.model.subscription import Batch, Disabled, Gap, SubscriptionState
from hookstream.core.planning.transitions import enable, pause

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


@pytest.mark.parametrize("state", ["enabled", "paused", "disabled", "held"])
async def test_a_retry_of_the_earlier_life_is_cancelled_whatever_the_later_one_is(
    state: str,
) -> None:
    """A disabling's gap begins a minute early; a paused or disabled subscription keeps what waits for it alone."""
    async with World() as world:
        switch = Switch(status(500))
        world.endpoints.script("crm", switch)
        earlier = world.subscribe("crm", schedule=(MINUTE,))
        await world.worker()
        world.publish("before")
        await world.until(lambda: len(world.endpoints.to("crm")) == 1)
        deleted = replace(earlier, state=SubscriptionState.DELETED, revision=2)
        world.directory.put_subscription(deleted)
        switch.behaviour = status(204)
        again = world.subscribe("crm", active_from=world.clock.now() + 2 * SECOND)
        await asyncio.sleep(3)
        now = world.clock.now()
        disabled = Disabled("crm", now, "gone")
        if state == "enabled":
            world.directory.put_subscription(enable(again, disabled, now + SECOND))
        elif state == "paused":
            world.directory.put_subscription(pause(again, now))
        elif state == "disabled":
            world.directory.put_disabled(disabled)
        else:
            world.directory.holds.put(Hold(HoldKind.EVERYTHING, ALL, now, "a test"))

        await world.until(world.settled, within=300)

        assert world.accepted("crm") == Counter()
        assert world.dead() == []


@pytest.mark.parametrize("batch", [None, Batch(2)])
@pytest.mark.parametrize("again", [False, True])
async def test_an_answer_of_the_earlier_life_does_not_disable_the_later_one(
    batch: Batch | None,
    again: bool,  # noqa: FBT001
) -> None:
    """The endpoint that is gone is the earlier one's. Of a deleted subscription nothing is written any more."""
    async with World() as world:
        world.endpoints.script("crm", Switch(status(410, after=5)))
        earlier = world.subscribe("crm")
        world.directory.put_subscription(replace(earlier, batch=batch))
        await world.worker()
        world.publish("before")
        await world.until(lambda: len(world.endpoints.to("crm")) == 1)
        deleted = replace(earlier, state=SubscriptionState.DELETED, revision=2)
        world.directory.put_subscription(deleted)
        if again:
            row = replace(earlier, active_from=world.clock.now() + 2 * SECOND, revision=3)
            endpoint = replace(earlier.endpoint, url="https://crm.example/another")
            world.directory.put_subscription(replace(row, endpoint=endpoint))

        await world.until(world.settled, within=60)

        assert world.directory.is_disabled("crm") is False
        assert world.dead() == [("crm", "before", "gone")]


@pytest.mark.parametrize("starts_again", [False, True])
async def test_a_run_that_a_job_began_for_the_earlier_life_is_cancelled(
    starts_again: bool,  # noqa: FBT001
) -> None:
    """A replay's event may be of any time, and so may a retry of its run: the next life begins its own."""
    async with World() as world:
        grant_ever(world)
        switch = Switch(status(500))
        world.endpoints.script("crm", switch)
        begin = world.clock.now()
        await asyncio.sleep(1)
        world.publish("e1")
        earlier = world.subscribe("crm", active_from=world.clock.now(), schedule=(MINUTE,))
        await asyncio.sleep(1)
        await world.worker()
        replay(world, "crm")
        await world.until(lambda: len(world.endpoints.to("crm")) == 1)
        deleted = replace(earlier, state=SubscriptionState.DELETED, revision=2)
        world.directory.put_subscription(deleted)
        switch.behaviour = status(204)
        again = replace(earlier, active_from=world.clock.now() + 2 * SECOND, revision=3)
        if starts_again:
            past = Gap(begin, again.active_from, "started", "replay-2")
            again = replace(again, gaps=(past,))
        world.directory.put_subscription(again)
        await asyncio.sleep(3)
        if starts_again:
            replay(world, "crm", job="replay-2")

        await world.until(world.settled, within=300)

        assert world.accepted("crm") == (Counter({"e1": 1}) if starts_again else Counter())
        assert world.dead() == []
        assert (JOB, "replay", 1, "cancel") in lives(world, "crm")


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
