"""A record's time may be anything a producer's clock or mistake makes of it, and harms nothing."""

import asyncio
from dataclasses import replace

import pytest
from tests.doubles.codec import json_record
from tests.doubles.endpoint import status
from tests.scenarios.world import EVENT_TYPE, EVENTS, World

from hookstream.core.model.delivery import Delivery, UnmatchedEvent
from hookstream.core.model.delivery_headers import read_delivery, read_unmatched
from hookstream.core.model.instant import SECOND, Millis
from hookstream.core.model.record import TopicPartition
from hookstream.core.model.subscription import Grant, Partner
from hookstream.core.redrive.summary import summary_of

MICROSECONDS = 1_795_854_458_871_000
"""Microseconds that a producer used as milliseconds."""

BEFORE_ALL = -(2**63) - 1

TIMES = [-1, 0, 1_795_854_458, 253_402_300_800_000, MICROSECONDS, 2**63 - 1]
ODD = [*TIMES, -62_135_596_800_001, -(2**63)]


def stamped(world: World, event_id: str, timestamp: Millis, value: bytes | None = None) -> None:
    outgoing = json_record(EVENT_TYPE, event_id)
    world.broker.append(
        EVENTS, value or outgoing.value, key=event_id.encode(), timestamp=timestamp
    )


def world_of_producers_clocks() -> World:
    world = World()
    world.rules = replace(world.rules, accept_create_time=True)
    world.broker.logs[TopicPartition(EVENTS, 0)].append_time = False
    everything = Grant(event_types=("*",), environments=("*",))
    world.directory.put_partner(Partner("acme", "Acme", everything, grant_from=BEFORE_ALL))
    return world


@pytest.mark.case("record-time")
@pytest.mark.parametrize("timestamp", ODD)
async def test_a_record_of_any_time_is_delivered_retried_dead_lettered_or_undecodable_as_any_other(
    timestamp: Millis,
) -> None:
    async with world_of_producers_clocks() as world:
        # Records with timestamps older than every subscription match none.
        for name in ("well", "flaky", "dead"):
            world.subscribe(name, schedule=(5 * SECOND, 5 * SECOND), active_from=BEFORE_ALL)
        world.endpoints.script("flaky", status(500), status(204))
        world.endpoints.script("dead", status(500))
        worker = await world.worker()
        stamped(world, "e1", timestamp)
        stamped(world, "junk", timestamp, b"junk!")

        await world.until(world.settled, within=60)

        assert worker.engine.events.blocked == 0
        assert world.accepted("well") == world.accepted("flaky") == {"e1": 1}
        assert world.dead() == [("dead", "e1", "attempts_exhausted")]
        [dead_letter] = world.broker.records(world.topics.dead_letters)
        delivery = read_delivery(dead_letter.headers)
        assert isinstance(delivery, Delivery)
        assert delivery.origin.timestamp == timestamp
        [aside] = world.broker.records(world.topics.undecodable)
        state = read_unmatched(aside.headers)
        assert isinstance(state, UnmatchedEvent)
        assert state.origin.timestamp == timestamp
        within = -62_135_596_800_000 <= timestamp < 253_402_300_800_000
        assert summary_of(aside).origin_at.endswith("Z" if within else f"{timestamp} ms")


async def test_a_record_that_waits_for_its_schema_keeps_its_time() -> None:
    async with world_of_producers_clocks() as world:
        world.subscribe("crm")
        world.codec.published.clear()
        await world.worker()
        stamped(world, "e1", MICROSECONDS)
        await world.until(lambda: len(world.tier_writes()) == 1)
        world.codec.publish(EVENT_TYPE)

        await world.until(world.settled, within=60)

        assert world.accepted("crm") == {"e1": 1}


@pytest.mark.parametrize("timestamp", [-1, 0, -(2**63), 1_795_854_458])
async def test_an_invalid_time_has_no_age(timestamp: Millis) -> None:
    """Otherwise one such record would show as a lag of fifty years, and spoil every average latency."""
    async with world_of_producers_clocks() as world:
        world.subscribe("crm", active_from=BEFORE_ALL)
        world.endpoints.script("crm", status(204, after=3))
        worker = await world.worker()
        stamped(world, "e1", timestamp)
        await asyncio.sleep(1)

        assert worker.engine.events.oldest_unsettled() is None

        await world.until(world.settled, within=60)
        assert world.metrics.latencies == []


async def test_a_record_from_the_future_can_be_skipped() -> None:
    async with world_of_producers_clocks() as world:
        world.subscribe("crm")
        worker = await world.worker()
        world.codec.decode = None  # type: ignore[assignment]  # calling it raises TypeError
        stamped(world, "e1", MICROSECONDS)
        await asyncio.sleep(1)
        assert worker.engine.events.blocked == 1

        worker.skips.skip(TopicPartition(EVENTS, 0), 0, world.clock.now())

        await world.until(world.settled, within=3)
