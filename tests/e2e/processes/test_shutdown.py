"""A worker ends within one deadline whatever its broker does, and its exit code shows whether it was clean."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest
from tests.e2e.world import World, a_world, until, until_accepted

from hookstream.adapters.dev.broker import BrokerProcess

pytestmark = pytest.mark.timeout(400)

DEADLINE = 4.0
SCHEDULING = 2.0
"""Seconds that a busy machine may add: far less than a hanging close used to take."""


async def seconds_to_stop(world: World) -> tuple[int, float]:
    """Shut a worker down; return its exit code and how long that took."""
    began = time.monotonic()
    code = await world.stage.stop_worker()
    return code, time.monotonic() - began


async def test_a_worker_whose_broker_is_frozen_ends_at_the_deadline(
    own_broker: BrokerProcess, prefix: str, tmp_path: Path
) -> None:
    """What is in flight cannot be settled, and no client can leave: neither may delay the process."""
    async with a_world(tmp_path / "world", own_broker.bootstrap_servers, prefix) as world:
        world.stage.environ["HOOKSTREAM_WORKER__DRAIN_DEADLINE"] = f"{DEADLINE:g}s"
        crm = await world.subscribe("crm")
        await world.stage.start_worker()
        [sent] = await world.publish(1)
        await until_accepted(crm, [sent], 60)
        reached = asyncio.Event()

        async def answer(_: object, __: int) -> int:
            reached.set()
            await asyncio.sleep(0.5)
            return 204

        crm.answer(answer)
        await world.publish(1)
        async with asyncio.timeout(60):
            await reached.wait()
        assert own_broker.pid is not None
        os.kill(own_broker.pid, signal.SIGSTOP)
        try:
            code, took = await seconds_to_stop(world)
        finally:
            os.kill(own_broker.pid, signal.SIGCONT)

        assert code == 1
        assert took < DEADLINE + SCHEDULING


async def test_a_worker_whose_broker_is_dead_ends_within_the_deadline(
    own_broker: BrokerProcess, prefix: str, tmp_path: Path
) -> None:
    async with a_world(tmp_path / "world", own_broker.bootstrap_servers, prefix) as world:
        world.stage.environ["HOOKSTREAM_WORKER__DRAIN_DEADLINE"] = f"{DEADLINE:g}s"
        crm = await world.subscribe("crm")
        await world.stage.start_worker()
        await until_accepted(crm, await world.publish(1), 60)
        await asyncio.to_thread(own_broker.kill)

        _, took = await seconds_to_stop(world)

        assert took < DEADLINE + SCHEDULING


async def test_a_second_signal_ends_a_worker_at_once(world: World) -> None:
    """A second signal means that the operator does not want to wait."""
    crm = await world.subscribe("crm")
    reached = asyncio.Event()

    async def answer(_: object, __: int) -> int:
        reached.set()
        await asyncio.sleep(4)
        return 204

    crm.answer(answer)
    await world.stage.start_worker()
    await world.publish(1)
    async with asyncio.timeout(60):
        await reached.wait()
    worker = world.stage.worker
    assert worker is not None
    worker.send_signal(signal.SIGTERM)
    await asyncio.sleep(0.5)
    assert worker.returncode is None

    code, took = await seconds_to_stop(world)

    assert code == 1
    assert took < SCHEDULING


async def test_a_worker_without_work_ends_cleanly_and_at_once(world: World) -> None:
    crm = await world.subscribe("crm")
    await world.stage.start_worker()
    await until_accepted(crm, await world.publish(3), 60)
    await world.until_settled(60)

    code, took = await seconds_to_stop(world)

    assert code == 0
    assert took < 2 * SCHEDULING
    await until(lambda: crm.statuses == [204] * 3, 10, lambda: crm.statuses)
