"""An overloaded worker delays only the endpoints whose backlog overloads it."""

import asyncio
from collections.abc import Awaitable
from functools import partial
from itertools import groupby

import pytest
from tests.doubles.endpoint import Behaviour, Request, refuse_connections
from tests.doubles.virtual_time import BusyLoop
from tests.scenarios.replaying import grant_ever, replay
from tests.scenarios.world import World

from hookstream.core.model.instant import SECOND
from hookstream.core.model.outcome import Answer, Response
from hookstream.core.retry.background import AT_ONCE
from hookstream.pipeline.ports import Post

COST = 0.002
"""Seconds of the worker's own time that an attempt takes: 500 a second are all that it can."""


def at_a_cost(status: int = 204) -> Behaviour:
    """Answer within a millisecond, and cost the worker more than that."""

    async def answer() -> Answer:
        await asyncio.sleep(0.001)
        return Response(status)

    def behave(_: Post) -> Awaitable[Answer]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, BusyLoop)
        # As the request is written, in the turn of the loop in which the attempt begins.
        loop.spend(COST)
        return answer()

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
    # Half of its time is the backlog's, once the endpoint's recovery is detected.
    assert drained < 2 * 3_000 * COST + 8


def test_retries_that_are_due_keep_up_with_new_events_while_these_keep_the_worker_busy() -> None:
    """Of healthy endpoints, each of which refused something once: half of the time is theirs."""

    async def story() -> tuple[int, int]:
        async with World(partitions=4, tier_partitions=4) as world:
            names = [f"s{n}" for n in range(100)]
            for name in names:
                world.subscribe(name, schedule=(10 * SECOND,) * 3, max_in_flight=64)
                world.endpoints.script(name, at_a_cost(404))
            await world.worker()
            world.publish(*(f"old-{n}" for n in range(20)))
            await world.until(lambda: len(world.endpoints.to("s99")) == 20)
            for name in names:
                world.endpoints.script(name, at_a_cost())
            # All are due within the next ten seconds; there are more new events than it can process.
            world.publish(*(f"new-{n}" for n in range(200)))
            await asyncio.sleep(10)
            before = accepted(world, names)
            await asyncio.sleep(5)
            now = accepted(world, names)
            return now[0] - before[0], now[1] - before[1]

    with asyncio.Runner(loop_factory=BusyLoop) as runner:
        old, new = runner.run(story())

    assert old + new >= 0.9 * 5 / COST
    assert old >= 0.4 * (old + new)


def replayed(request: Request) -> bool:
    return request.header("hookstream-replay") is not None


async def test_between_two_live_deliveries_that_are_ready_few_of_a_replay_are_attempted() -> None:
    async with World() as world:
        past(world, 300)
        await world.worker()
        await asyncio.sleep(1)
        replay(world, "crm")
        world.publish(*(f"live-{number}" for number in range(300)))
        await world.until(world.settled)

        kinds = [replayed(each) for each in world.endpoints.requests]
        assert kinds.count(True) == 300
        first, last = kinds.index(False), len(kinds) - kinds[::-1].index(False)
        runs = [len(list(run)) for kind, run in groupby(kinds[first:last]) if kind]
        # In the turn in which a live one is taken, and in that in which it is attempted.
        assert max(runs) <= 2 * AT_ONCE


def test_a_replay_takes_the_time_that_live_deliveries_leave_and_none_waits_for_many_of_it() -> (
    None
):
    async def story() -> tuple[list[float], int]:
        loop = asyncio.get_running_loop()
        async with World() as world:
            past(world, 1_500)
            for name in ("crm", "fine"):
                world.endpoints.script(name, at_a_cost())
            await world.worker()
            await asyncio.sleep(1)
            replay(world, "crm")
            delays: list[float] = []
            began, before = loop.time(), 0
            while loop.time() - began < 5:
                await asyncio.sleep(0.021)
                at, name = loop.time(), f"live-{len(delays)}"
                world.publish(name)
                await world.until(partial(came, world, name), step=0.001)
                delays.append(loop.time() - at)
            before = sum(map(replayed, world.endpoints.to("crm")))
            await world.until(world.settled)
            assert sum(map(replayed, world.endpoints.to("crm"))) == 1_500
            return delays, before

    with asyncio.Runner(loop_factory=BusyLoop) as runner:
        delays, before = runner.run(story())

    # Its own two attempts, what was released before it came, and what was between its own steps.
    assert max(delays) < (2 + 2 * AT_ONCE) * COST + 0.004
    # A third of the time, less the turns that it shares with others, and none is wasted.
    assert 0.2 * 5 / COST < before < 0.36 * 5 / COST


def past(world: World, events: int) -> None:
    """Publish events before any subscription exists; `crm` may get them by a replay."""
    grant_ever(world)
    world.publish(*(f"e{number}" for number in range(events)))
    later = world.clock.now() + 1
    world.subscribe("crm", max_in_flight=64, active_from=later)
    world.subscribe("fine", max_in_flight=64, active_from=later)


def accepted(world: World, names: list[str]) -> tuple[int, int]:
    """How many deliveries the endpoints have, of old events and of new ones."""
    events = [event for name in names for event in world.accepted(name).elements()]
    old = sum(event.startswith("old") for event in events)
    return old, len(events) - old
