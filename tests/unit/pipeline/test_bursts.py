"""An executor works in bursts of a few milliseconds, and leaves the processor to others in between."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tests.doubles.clock import NOON, LoopClock
from tests.doubles.codec import JsonCodec
from tests.doubles.replaying import PRICED, ReplayWorld, replay_job
from tests.doubles.virtual_time import BusyLoop

from hookstream.core.jobs.job import JobState
from hookstream.core.model.event import Event, Identified, Undecodable
from hookstream.core.model.instant import HOUR, MINUTE
from hookstream.core.model.record import Origin, Record
from hookstream.pipeline.bursts import Bursts

T = TypeVar("T")
COST = 0.0001
"""Seconds that it takes to decode an event."""
TOPIC = "printprice.pricing"
SINCE, UNTIL = NOON - HOUR, NOON - MINUTE


def spend(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, BusyLoop)
    loop.spend(seconds)


class CostlyCodec(JsonCodec):
    """A codec whose events take time."""

    def decode(
        self,
        identified: Identified,
        record: Record,
        origin: Origin | None = None,
        event_id: str = "",
    ) -> Event | Undecodable:
        spend(COST)
        return super().decode(identified, record, origin, event_id)


def run(story: Callable[[], Awaitable[T]]) -> T:
    with asyncio.Runner(loop_factory=BusyLoop) as runner:
        return runner.run(awaited(story))


async def awaited(story: Callable[[], Awaitable[T]]) -> T:
    return await story()


def test_a_step_of_a_replay_keeps_others_waiting_for_one_burst_at_most() -> None:
    async def story() -> tuple[JobState, float, float]:
        world = ReplayWorld(codec=CostlyCodec({PRICED: 1}))
        world.past.create(TOPIC)
        for number in range(1_000):
            world.event(TOPIC, SINCE + number, f"e{number}")
        longest, loop = [0.0], asyncio.get_running_loop()

        async def bystander() -> None:
            while True:
                began = loop.time()
                await asyncio.sleep(0.001)
                longest.append(loop.time() - began - 0.001)

        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(bystander())
            began = loop.time()
            result = await world.run(replay_job(SINCE, UNTIL))
            watching.cancel()
        assert len(world.written) == 1_000
        return result.job.state, max(longest), loop.time() - began

    state, longest, took = run(story)

    assert state is JobState.DONE
    assert longest < 0.007
    # Half of the time is everybody else's.
    assert took > 1.9 * 1_000 * COST


def test_after_a_burst_others_have_as_long_and_before_it_is_over_nothing() -> None:
    async def story() -> list[float]:
        bursts, loop = Bursts(LoopClock()), asyncio.get_running_loop()
        waits = []
        for seconds in (0.003, 0.003, 0.001, 0.02, 60.0):
            spend(seconds)
            before = loop.time()
            await bursts.stand_back()
            waits.append(round(loop.time() - before, 6))
        spend(1.0)
        bursts.begin()
        spend(0.001)
        before = loop.time()
        await bursts.stand_back()
        waits.append(loop.time() - before)
        return waits

    assert run(story) == [0.0, 0.006, 0.0, 0.021, 0.1, 0.0]
