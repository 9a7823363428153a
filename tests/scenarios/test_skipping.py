"""What cannot be written stops its partition, and only an operator can skip it."""

import asyncio

import pytest
from tests.doubles.endpoint import status
from tests.scenarios.world import EVENTS, Worker, World

from hookstream.core.model.instant import Millis
from hookstream.core.model.record import TopicPartition
from hookstream.pipeline.ports import WriteRefused

HERE = TopicPartition(EVENTS, 0)
NO_RIGHTS = WriteRefused("no rights", too_large=False)


async def stopped(world: World) -> Worker:
    """Have the dead letter of e1 refused for minutes; e2 is behind it."""
    world.subscribe("crm", schedule=())
    world.endpoints.script("crm", status(500), status(204))
    world.broker.refuse(world.topics.dead_letters, NO_RIGHTS)
    worker = await world.worker()
    world.publish("e1", "e2")
    await asyncio.sleep(200)
    assert world.broker.commits["hookstream"][HERE] == 0
    assert worker.engine.events.blocked == 1
    return worker


async def test_a_skip_takes_effect_within_a_second() -> None:
    """Between two retries there may be a minute: an operator must not wait for it."""
    async with World() as world:
        worker = await stopped(world)

        worker.skips.skip(HERE, 0, world.clock.now())

        await asyncio.sleep(1)
        assert worker.engine.events.blocked == 0
        await world.until(world.settled, within=3)
        assert world.dead() == []
        [logged] = [f for _, event, f in world.logger.lines if event == "partition.skipped"]
        assert (logged["topic"], logged["partition"], logged["offset"]) == (EVENTS, 0, 0)
        assert logged["writing_to"] == world.topics.dead_letters
        assert str(logged["delivery_id"]).startswith("msg_")


async def test_a_skip_of_another_record_skips_nothing() -> None:
    """A mistyped offset must lose nothing: the record is written once that is possible."""
    async with World() as world:
        worker = await stopped(world)
        worker.skips.skip(HERE, 1, world.clock.now())
        worker.skips.skip(TopicPartition(EVENTS, 1), 0, world.clock.now())
        await asyncio.sleep(200)
        assert world.broker.commits["hookstream"][HERE] == 0

        world.broker.refuse(world.topics.dead_letters, None)

        await world.until(world.settled, within=120)
        assert world.dead() == [("crm", "e1", "attempts_exhausted")]


async def test_a_skip_requested_before_the_record_arrived_is_of_another_record() -> None:
    async with World() as world:
        before = world.clock.now()
        await asyncio.sleep(1)
        worker = await stopped(world)

        worker.skips.skip(HERE, 0, before)

        await asyncio.sleep(200)
        assert world.broker.commits["hookstream"][HERE] == 0


async def test_the_next_worker_skips_the_record_too() -> None:
    """The request is in a table: the first worker may have died before it committed."""
    async with World() as world:
        worker = await stopped(world)
        await worker.kill()
        world.endpoints.script("crm", status(500))
        asked_at = world.clock.now()

        second = await world.worker()
        second.skips.skip(HERE, 0, asked_at)
        second.skips.skip(HERE, 1, asked_at)

        await world.until(world.settled, within=10)


async def test_a_start_skips_what_is_below_it_and_nothing_else() -> None:
    async with World() as world:
        worker = await stopped(world)
        worker.events.start_partition(
            HERE, "latest", blocked=worker.engine.events.is_blocked(HERE)
        )
        await world.until(world.settled, within=10)
        world.publish("e3")

        await world.until(world.settled, within=10)

        assert world.dead() == []
        assert worker.engine.events.blocked == 0
        assert "e3" in world.accepted("crm")
        [logged] = [f for _, event, f in world.logger.lines if event == "partition.started"]
        assert logged["offset"] == 2


# Records that carry their producers' time.


def stamped(world: World, *event_ids: str, append_time: bool) -> None:
    log = world.broker.logs[HERE]
    log.append_time = append_time
    world.publish(*event_ids)
    log.append_time = True


def mixed(world: World) -> None:
    """One record of the broker's time, two of their producer's, one of the broker's again."""
    world.subscribe("crm")
    stamped(world, "e1", append_time=True)
    stamped(world, "e2", "e3", append_time=False)
    stamped(world, "e4", append_time=True)


async def test_a_record_with_its_producers_time_can_be_skipped_and_the_next_one_stops_again() -> (
    None
):
    async with World() as world:
        mixed(world)
        worker = await world.worker()
        # The double's `take` waits for five seconds: the skip must not come as one of them ends.
        await asyncio.sleep(4.5)
        assert world.broker.commits["hookstream"][HERE] == 1
        assert world.accepted("crm") == {"e1": 1}

        worker.skips.skip(HERE, 1, world.clock.now())
        await asyncio.sleep(3)

        assert world.broker.commits["hookstream"][HERE] == 2
        assert worker.engine.events.blocked == 1
        stops = [f["offset"] for _, event, f in world.logger.lines if event == "partition.stopped"]
        assert stops == [1, 2]

        worker.skips.skip(HERE, 2, world.clock.now())

        await world.until(world.settled, within=5)
        assert world.accepted("crm") == {"e1": 1, "e4": 1}
        assert worker.engine.events.blocked == 0


@pytest.mark.parametrize(
    ("at", "arrive"), [("latest", {"e1", "e4", "e5"}), (3, {"e1", "e4", "e5"})]
)
async def test_a_start_skips_the_records_with_their_producers_time(
    at: str | int, arrive: set[str]
) -> None:
    async with World() as world:
        mixed(world)
        worker = await world.worker()
        await asyncio.sleep(5)
        where: str | Millis = "latest"
        if isinstance(at, int):
            where = world.broker.logs[HERE].records[at].timestamp
            # A time names the first record that is as young; these were stamped at once.
            for record in world.broker.logs[HERE].records[:at]:
                record.timestamp -= 1
        worker.events.start_partition(HERE, where, blocked=worker.engine.events.is_blocked(HERE))
        await asyncio.sleep(3)
        world.publish("e5")

        await world.until(world.settled, within=5)

        assert set(world.accepted("crm")) == arrive


async def test_what_is_withheld_of_a_partition_that_moves_comes_again_to_its_new_owner() -> None:
    async with World() as world:
        mixed(world)
        await world.worker()
        await asyncio.sleep(5)

        await world.worker()
        await asyncio.sleep(5)

        assert world.broker.commits["hookstream"][HERE] == 1
        assert world.accepted("crm") == {"e1": 1}
