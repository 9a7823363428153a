"""A worker that has more to do than it can holds nobody up for it but whose backlog it is."""

import asyncio
from functools import partial

import pytest
from tests.doubles.endpoint import Behaviour, refuse_connections
from tests.scenarios.world import World
from tests.simulation.virtual_time import VirtualTimeLoop

from hookstream.core.model.instant import SECOND
from hookstream.core.model.outcome import Answer, Response
from hookstream.pipeline.ports import Post

COST = 0.002
"""Seconds of the worker's own time that an attempt takes: 500 a second are all that it can."""


class BusyLoop(VirtualTimeLoop):
    """A loop on which work takes time: what has a turn makes the turn longer for everybody."""

    def spend(self, seconds: float) -> None:
        self._seconds += seconds


def at_a_cost() -> Behaviour:
    """Answer 204 within a millisecond, and cost the worker more than that."""

    async def behave(_: Post) -> Answer:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, BusyLoop)
        loop.spend(COST)
        await asyncio.sleep(0.001)
        return Response(204)

    return behave


def came(world: World, event_id: str) -> bool:
    """Whether the healthy endpoint has an event."""
    return event_id in world.accepted("fine")


@pytest.mark.parametrize("max_in_flight", [8, 64])
def test_a_backlog_of_an_endpoint_that_is_back_does_not_delay_the_others(
    max_in_flight: int,
) -> None:
    async def story() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        async with World() as world:
            world.subscribe("back", schedule=(5 * SECOND,) * 40, max_in_flight=max_in_flight)
            world.endpoints.script("back", refuse_connections())
            await world.worker()
            for number in range(30):
                world.publish(*(f"old-{number}-{n}" for n in range(100)))
                await asyncio.sleep(1)
            world.subscribe("fine", active_from=world.clock.now())
            world.endpoints.script("fine", at_a_cost())
            world.endpoints.script("back", at_a_cost())
            began = loop.time()
            delays: list[float] = []
            while len(world.accepted("back")) < 2_900:
                assert loop.time() - began < 60
                await asyncio.sleep(0.25)
                at, name = loop.time(), f"new-{len(delays)}"
                world.publish(name)
                await world.until(partial(came, world, name), step=0.005)
                delays.append(loop.time() - at)
            return max(delays), loop.time() - began

    with asyncio.Runner(loop_factory=BusyLoop) as runner:
        longest, drained = runner.run(story())

    assert longest < 0.06
    # Half of its time is the backlog's, once the endpoint is noticed to be back.
    assert drained < 2 * 3_000 * COST + 8
