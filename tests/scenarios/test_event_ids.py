"""One id for several events: each delivery ends, and the producer's mistake is visible."""

import asyncio

import pytest
from tests.doubles.endpoint import status
from tests.scenarios.world import EVENT_TYPE, World

from hookstream.core.model.instant import SECOND
from hookstream.core.model.record import header_text


@pytest.mark.case("one-id-twice")
async def test_three_events_under_one_id_are_each_completed() -> None:
    async with World() as world:
        world.subscribe("crm", schedule=(5 * SECOND,) * 4)
        world.endpoints.script("crm", *[status(500)] * 6, status(204))
        await world.worker()
        for number in range(3):
            world.publish("order-1", data={"number": number})

        await world.until(world.settled, within=60)

        assert world.accepted("crm") == {"order-1": 3}
        [event] = world.published("log.event_id_conflict")
        assert event[1]["event_id"] == "order-1"
        assert world.logger.events("warning").count("event_id.conflict") == 1
        assert world.metrics.ids_reused == {(EVENT_TYPE, True): 2}
        assert world.metrics.merged == 0


async def test_an_event_that_was_written_twice_is_a_duplicate_and_delivered_twice() -> None:
    async with World() as world:
        world.subscribe("crm")
        await world.worker()
        world.publish("e1", "e1")

        await world.until(world.settled)

        assert world.accepted("crm") == {"e1": 2}
        assert world.metrics.ids_reused == {(EVENT_TYPE, False): 1}
        assert world.published("log.event_id_conflict") == []


async def test_a_conflict_is_raised_once_an_hour_and_type() -> None:
    async with World() as world:
        world.subscribe("crm")
        await world.worker()
        for number in range(5):
            world.publish("e1", data={"number": number})
        await asyncio.sleep(30)
        first = len(world.published("log.event_id_conflict"))
        await asyncio.sleep(3_600)
        world.publish("e1", data={"number": 5})

        await world.until(world.settled)

        assert (first, len(world.published("log.event_id_conflict"))) == (1, 2)
        assert world.metrics.ids_reused == {(EVENT_TYPE, True): 5}


async def test_copies_of_one_delivery_in_a_tier_are_merged_and_the_later_expiry_stays() -> None:
    """A crash between write and commit leaves two copies; only one of them is attempted."""
    async with World() as world:
        world.subscribe("crm", schedule=(5 * SECOND,))
        world.endpoints.script("crm", status(500), status(204))
        worker = await world.worker()
        world.publish("e1")
        await world.until(lambda: len(world.tier_writes()) == 1)
        [tier] = world.tier_writes()
        later = [
            (name, b"2999-01-01T00:00:00.000Z" if name == "hs-expires-at" else value)
            for name, value in tier.headers
        ]
        world.broker.append(tier.topic, tier.value, key=tier.key, headers=tuple(later))

        await world.until(world.settled, within=60)

        assert world.metrics.merged == 1
        assert world.accepted("crm") == {"e1": 1}
        assert len(world.endpoints.to("crm")) == 2
        assert len(worker.engine.room) == 0
        assert header_text(tier.headers, "hs-attempt") == "1"
