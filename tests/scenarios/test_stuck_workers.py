"""A worker that is stuck is detected, and one that waits on purpose does not count as stuck."""

import asyncio

from tests.doubles.endpoint import Endpoints, refuse_connections, status
from tests.doubles.exchange import PlayedExchange
from tests.scenarios.world import Worker, World

from hookstream.adapters.telemetry.stacks import stacks
from hookstream.core.model.instant import MINUTE
from hookstream.core.model.outcome import Answer, Response
from hookstream.pipeline.ports import (
    Answered,
    Exchange,
    Permitted,
    Post,
    WriteRefused,
    always_permitted,
)
from hookstream.pipeline.watchdog import Watchdog

BOUND = 5 * MINUTE


class DeafEndpoints(Endpoints):
    """A sender with a defect: it never returns, not even at the timeout, until it is repaired."""

    def __init__(self) -> None:
        super().__init__()
        self.mended = asyncio.Event()

    def begin(self, post: Post, permitted: Permitted, answered: Answered) -> Exchange:
        return PlayedExchange(self.send(post, permitted), answered)

    async def send(self, post: Post, permitted: Permitted = always_permitted) -> Answer:
        del post, permitted
        await self.mended.wait()
        return Response(204)


def watching(world: World, worker: Worker) -> Watchdog:
    engine = worker.engine
    return Watchdog(
        (engine.events, engine.tiers),
        engine.room,
        world.tables,
        world.clock,
        world.logger,
        stacks,
        bound=BOUND,
    )


async def look_for(watch: Watchdog, seconds: float, every: float = 1.0) -> bool:
    """Check repeatedly; return whether it was ever found stuck."""
    ever = False
    for _ in range(int(seconds / every)):
        await asyncio.sleep(every)
        watch.look()
        ever = ever or watch.stuck
    return ever


async def test_a_record_that_is_never_settled_is_detected_and_every_stack_is_logged_once() -> None:
    """It would go unnoticed: all other partitions continue, and this one only falls behind."""
    async with World() as world:
        world.subscribe("crm")
        world.endpoints = deaf = DeafEndpoints()
        worker = await world.worker()
        watch = watching(world, worker)
        world.publish("e1")
        assert not await look_for(watch, 290)

        assert await look_for(watch, 60)

        assert world.logger.events("error") == ["worker.stuck"]
        stacks = [
            str(fields["detail"])
            for level, event, fields in world.logger.lines
            if (level, event) == ("warning", "worker.stack")
        ]
        assert any("test_stuck_workers.py" in stack and " send" in stack for stack in stacks)
        assert not any("Post(" in stack for stack in stacks)

        deaf.mended.set()
        await asyncio.sleep(5)
        watch.look()
        assert (watch.stuck, watch.seconds) == (False, 0.0)


async def test_deliveries_that_wait_for_their_retry_are_not_stuck() -> None:
    async with World() as world:
        world.subscribe("crm", schedule=(15 * MINUTE,))
        world.endpoints.script("crm", refuse_connections(), status(204))
        worker = await world.worker()
        watch = watching(world, worker)
        world.publish("e1")

        assert not await look_for(watch, 18 * 60, every=5)

        assert world.accepted("crm") == {"e1": 1}


async def test_a_partition_that_waits_for_an_operator_is_not_stuck() -> None:
    """A restart would change nothing; stopped partitions have their own alert."""
    async with World() as world:
        world.subscribe("crm", schedule=())
        world.endpoints.script("crm", status(500))
        world.broker.refuse(world.topics.dead_letters, WriteRefused("no rights", too_large=False))
        worker = await world.worker()
        watch = watching(world, worker)
        world.publish("e1")

        assert not await look_for(watch, 9 * 60, every=5)

        assert worker.engine.events.blocked == 1


async def test_a_worker_whose_broker_is_away_is_not_stuck() -> None:
    """Then nothing settles, for as long as it takes, and a restart would only lose the tables."""
    async with World() as world:
        world.subscribe("crm")
        worker = await world.worker()
        watch = watching(world, worker)
        world.publish("e1")
        await world.until(lambda: len(world.accepted("crm")) == 1)
        world.endpoints.script("crm", status(204, after=0.5))
        world.publish("e2")
        await world.until(lambda: len(world.endpoints.to("crm")) == 2)
        world.broker.stop()
        world.tables.stale = True
        assert not await look_for(watch, 9 * 60, every=5)
        assert (len(world.accepted("crm")), worker.engine.events.unsettled) == (2, 1)

        world.broker.resume()
        world.tables.stale = False

        await world.until(world.settled)
        assert not await look_for(watch, 60)
