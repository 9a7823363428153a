"""With static membership a worker that died has its partitions back as soon as it is started again."""

import asyncio
import json
from datetime import datetime

import pytest
from tests.e2e.world import World, until_accepted

pytestmark = pytest.mark.timeout(400)

SESSION = 45.0
"""Seconds without heartbeats until a broker removes a classic member, by the client's default."""
BOUND = 5.0
"""It takes a fifth of a second on a quiet machine; far less than a session in any case."""


async def test_a_killed_worker_has_its_partitions_back_at_once(world: World) -> None:
    """Without a static name, its partitions would wait for the dead one's session to expire."""
    world.stage.environ["HOOKSTREAM_KAFKA__GROUP_PROTOCOL"] = "classic"
    world.stage.environ["HOOKSTREAM_KAFKA__GROUP_INSTANCE_ID"] = "worker-0"
    crm = await world.subscribe("crm")
    await world.stage.start_worker()
    await until_accepted(crm, await world.publish(9), 60)
    await world.until_settled(60)
    assert await world.group_types() == {"CLASSIC"}
    await world.stage.kill_worker()
    world.stage.log.unlink()
    waiting = await world.publish(9)

    await world.stage.start_worker()

    ready = asyncio.get_running_loop().time()
    await until_accepted(crm, waiting, BOUND)
    assert asyncio.get_running_loop().time() - ready < BOUND
    assert set(crm.accepted.values()) == {1}
    assert joining(world) < BOUND < SESSION


def joining(world: World) -> float:
    """Return the seconds from asking for the event topic to having its partitions, by the log."""
    asked = had = None
    for line in world.stage.log.read_text().splitlines():
        if line.startswith("{") and world.topic in line:
            said = json.loads(line)
            at = datetime.fromisoformat(said["timestamp"])
            asked = asked or (at if said["event"] == "consumer.subscribed" else None)
            had = had or (at if said["event"] == "partitions.assigned" else None)
    assert asked is not None
    assert had is not None
    return (had - asked).total_seconds()
