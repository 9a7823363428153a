"""A worker that was frozen goes by what was decided meanwhile, not by what it held in memory."""

import asyncio
import os
import signal
import time

import pytest
from tests.e2e.unseen import GOING_ON, STOPPED, stop_three, subscribed
from tests.e2e.world import World, until

pytestmark = pytest.mark.timeout(300)

WITHIN_ONE_CALL = 2
"""Requests that may have been between the check and the socket when the process was frozen."""


async def test_what_was_stopped_while_a_worker_was_frozen_is_not_sent(world: World) -> None:
    """A deletion, a hold and a narrower grant, with a queue in each lane; the fourth is let go on."""
    slow = await subscribed(world)
    await world.stage.start_worker()
    await world.publish(60)
    await until(
        lambda: all(len(each.came) >= 4 for each in slow.values()),
        30,
        lambda: {name: len(each.came) for name, each in slow.items()},
    )
    assert world.stage.worker is not None
    pid = world.stage.worker.pid

    os.kill(pid, signal.SIGSTOP)
    try:
        await stop_three(world)
        await asyncio.sleep(3)
    finally:
        thawed = time.monotonic()
        os.kill(pid, signal.SIGCONT)

    await until(
        lambda: len(set(world.partners[GOING_ON].accepted)) == 60, 60, lambda: "not all arrived"
    )
    await asyncio.sleep(2)
    after = {name: sum(at > thawed for at in slow[name].came) for name in STOPPED}
    assert all(count <= WITHIN_ONE_CALL for count in after.values()), after
