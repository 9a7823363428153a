"""Whatever dies and whenever, no delivery is lost, and none is repeated without need."""

import asyncio
import random
from pathlib import Path

import pytest
from examples.consumers.receiver import Answer
from tests.e2e.world import World, a_world, until, until_accepted

from hookstream.adapters.dev.broker import BrokerProcess

pytestmark = pytest.mark.timeout(400)

PATIENT = "[1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s]"
"""No delivery is dead-lettered by an endpoint that fails occasionally."""


def answering(seconds: float, *, failing: float = 0.0) -> Answer:
    """Answer after a while, so that attempts are in flight at any instant; a share with 503."""
    dice = random.Random(11)

    async def answer(_: object, __: int) -> int:
        await asyncio.sleep(seconds)
        return 503 if dice.random() < failing else 204

    return answer


async def test_a_worker_killed_in_mid_delivery_loses_nothing(world: World) -> None:
    """And what the next worker repeats is at most what the dead one had not settled."""
    crm = await world.subscribe("crm", schedule=PATIENT)
    crm.answer(answering(0.1, failing=0.2))
    await world.stage.start_worker()
    sent = await world.publish(150)
    await until(lambda: len(crm.accepted) >= 40, 60, lambda: crm.accepted)

    await world.stage.kill_worker()

    unsettled = await world.unsettled()
    assert len(crm.accepted) < len(sent)
    await world.stage.start_worker()
    await until_accepted(crm, sent, 60)
    await world.until_settled(60)
    repeated = {event_id for event_id, times in crm.accepted.items() if times > 1}
    assert repeated <= unsettled
    assert crm.receiver.book.forged == 0


async def test_a_worker_that_is_asked_to_shut_down_drains_and_the_next_repeats_nothing(
    world: World,
) -> None:
    """A deployment restarts every worker: partners must not be affected."""
    crm = await world.subscribe("crm")
    crm.answer(answering(0.3))
    await world.stage.start_worker()
    async with asyncio.TaskGroup() as tasks:
        publishing = tasks.create_task(world.publish(80, every=0.02))
        await until(lambda: len(crm.accepted) >= 10, 60, lambda: crm.accepted)

        code = await world.stage.stop_worker()

        assert (code, len(crm.accepted) < 80) == (0, True)
    await world.stage.start_worker()
    await until_accepted(crm, publishing.result(), 60)
    await world.until_settled(60)
    assert crm.statuses == [204] * 80


async def test_a_second_worker_comes_and_goes_and_nothing_is_lost_or_repeated(
    world: World,
) -> None:
    """Scaling out and in moves partitions with attempts in flight: these end where they began."""
    crm = await world.subscribe("crm")
    crm.answer(answering(0.05))
    await world.stage.start_worker()
    second = world.another_worker()
    async with asyncio.TaskGroup() as tasks:
        joining = tasks.create_task(world.publish(150, every=0.03))
        await second.start_worker()
        # However long its start took, there are attempts in flight when it leaves.
        leaving = tasks.create_task(world.publish(150, every=0.03))
        before = len(crm.accepted)
        await until(lambda: len(crm.accepted) >= before + 40, 60, lambda: crm.accepted)

        code = await second.stop_worker()

        assert (code, len(crm.accepted) < 300) == (0, True)
    await until_accepted(crm, [*joining.result(), *leaving.result()], 60)
    await world.until_settled(60)
    assert crm.statuses == [204] * 300


async def test_a_broker_killed_in_mid_stream_loses_nothing_and_the_worker_continues(
    own_broker: BrokerProcess, prefix: str, tmp_path: Path
) -> None:
    """A worker waits for its broker: it neither ends nor settles what was not acknowledged."""
    async with a_world(tmp_path / "world", own_broker.bootstrap_servers, prefix) as world:
        crm = await world.subscribe("crm", schedule=PATIENT)
        crm.answer(answering(0.1, failing=0.2))
        await world.stage.start_worker()
        async with asyncio.TaskGroup() as tasks:
            publishing = tasks.create_task(world.publish(120, every=0.02))
            await until(lambda: len(crm.accepted) >= 20, 60, lambda: crm.accepted)

            await asyncio.to_thread(own_broker.kill)
            await asyncio.to_thread(own_broker.start)

        await until_accepted(crm, publishing.result(), 60)
        await world.until_settled(60)
        assert await world.read("dead-letters") == []
        assert await world.stage.stop_worker() == 0
