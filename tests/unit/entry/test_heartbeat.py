"""A heartbeat is silent for as long as the event loop does not run."""

import asyncio

from tests.doubles.virtual_time import BusyLoop

from hookstream.entry.heartbeat import DEAD_AFTER, Heartbeat


async def _silences() -> list[float]:
    """Return the silence after a minute of a loop that runs, and after one callback that takes that long."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, BusyLoop)
    heartbeat = Heartbeat(loop.time)
    async with asyncio.TaskGroup() as tasks:
        beating = tasks.create_task(heartbeat.run())
        await asyncio.sleep(60.5)
        silences = [heartbeat.silence]
        loop.spend(60.0)
        silences.append(heartbeat.silence)
        beating.cancel()
    return silences


def test_a_loop_that_runs_beats_each_second_and_one_that_hangs_is_dead() -> None:
    with asyncio.Runner(loop_factory=BusyLoop) as runner:
        running, hanging = runner.run(_silences())
    assert running <= 1.0
    assert hanging >= DEAD_AFTER


async def test_each_beat_calls_what_runs_at_each() -> None:
    called: list[float] = []
    heartbeat = Heartbeat(asyncio.get_running_loop().time)
    async with asyncio.TaskGroup() as tasks:
        beating = tasks.create_task(heartbeat.run(lambda: called.append(heartbeat.silence)))
        await asyncio.sleep(9.5)
        beating.cancel()
    assert called == [0.0] * 10
