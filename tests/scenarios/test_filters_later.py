"""A filter that cannot be evaluated when an event is matched never counts as matching."""

import asyncio
from dataclasses import replace

from tests.doubles.endpoint import status
from tests.scenarios.world import World

from hookstream.core.model.instant import MINUTE
from hookstream.core.model.subscription import UnreadableSubscription
from hookstream.pipeline.ports import WriteRefused


async def test_the_filter_of_an_unreadable_subscription_is_evaluated_once_it_is_readable() -> None:
    """It was matched by its type alone: what its filter excludes is cancelled, and audited."""
    async with World() as world:
        readable = world.subscribe("crm", pattern={"data": {"colour": ["red"]}})
        world.directory.put_subscription(
            UnreadableSubscription("crm", "acme", readable.event_types, 0, (), "a newer release")
        )
        await world.worker()
        world.publish("e1", data={"colour": "red"})
        world.publish("e2", data={"colour": "blue"})
        await asyncio.sleep(60)
        assert world.accepted("crm") == {}

        world.directory.put_subscription(replace(readable, revision=2))
        await world.until(world.settled)

        assert world.accepted("crm") == {"e1": 1}
        assert world.dead() == []
        cancelled = [
            line.delivery.event_id
            for line in world.logger.attempts
            if line.disposition.name == "cancel"
        ]
        assert cancelled == ["e2"]


async def test_an_operations_event_that_is_too_large_for_its_topic_ends_no_delivery() -> None:
    """Nor does the dead letter that it reports cause another one, and so on."""
    async with World() as world:
        world.subscribe("crm", schedule=())
        world.broker.refuse(
            world.topics.operations, WriteRefused("message too large", too_large=True)
        )
        await world.worker()
        world.endpoints.script("crm", status(500))
        world.publish("e1")
        await asyncio.sleep(5 * MINUTE / 1000)

        assert world.dead() == [("crm", "e1", "attempts_exhausted")]
        assert "partition.stopped" in world.logger.events("error")

        world.broker.refuse(world.topics.operations, None)
        await world.until(world.settled)

        assert len(world.dead()) == 1
