"""A broker that is down for a while, dead or frozen, is waited for: nothing crashes, grows or is lost."""

import asyncio
import json
import os
import signal
from collections import Counter
from pathlib import Path

import pytest
from tests.e2e.world import Partner, World, a_world, until_accepted

from hookstream.adapters.dev.broker import BrokerProcess

pytestmark = pytest.mark.timeout(300)

CLIENT = {"socket.timeout.ms": 10_000, "reconnect.backoff.max.ms": 1_000}
"""A request times out after ten seconds, not sixty: so a freeze of twenty seconds is as good as one of minutes."""
FROZEN = 20.0
AWAY = 40.0
GROWTH = 30 << 20
"""Bytes that a worker's memory may grow in an outage: less than a second of full intake."""


async def begin(world: World) -> Partner:
    """Start a worker that has delivered something."""
    crm = await world.subscribe("crm")
    world.stage.environ["HOOKSTREAM_KAFKA__CLIENT"] = json.dumps(CLIENT)
    await world.stage.start_worker()
    await until_accepted(crm, await world.publish(20), 60)
    return crm


def resident(world: World) -> int:
    """Return the bytes of memory that the worker has."""
    assert world.stage.worker is not None
    pages = Path(f"/proc/{world.stage.worker.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def said(world: World) -> Counter[str]:
    """Count the lines of the worker's log by event."""
    lines = (line for line in world.stage.log.read_text().splitlines() if line.startswith("{"))
    return Counter(json.loads(line)["event"] for line in lines)


async def go_on(world: World, crm: Partner) -> None:
    """Check that the worker delivers as before, and that nothing was lost."""
    await until_accepted(crm, await world.publish(20), 60)
    await world.until_settled(60)
    assert world.stage.worker is not None
    assert world.stage.worker.returncode is None
    assert await world.stage.stop_worker() == 0


async def test_a_worker_continues_after_its_broker_was_frozen(
    own_broker: BrokerProcess, prefix: str, tmp_path: Path
) -> None:
    """A machine that swaps or a hypervisor that stalls: connections stay open, and nothing answers."""
    async with a_world(tmp_path / "world", own_broker.bootstrap_servers, prefix) as world:
        crm = await begin(world)
        before = resident(world)
        assert own_broker.pid is not None

        os.kill(own_broker.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(FROZEN)
            grown = resident(world) - before
        finally:
            os.kill(own_broker.pid, signal.SIGCONT)

        await go_on(world, crm)
        assert grown < GROWTH


async def test_an_outage_is_logged_once_and_its_end_once(
    own_broker: BrokerProcess, prefix: str, tmp_path: Path
) -> None:
    """A line a second for an hour would bury the one that matters."""
    async with a_world(tmp_path / "world", own_broker.bootstrap_servers, prefix) as world:
        crm = await begin(world)
        before = resident(world)

        await asyncio.to_thread(own_broker.kill)
        await asyncio.sleep(AWAY)
        grown = resident(world) - before
        during = said(world)
        await asyncio.to_thread(own_broker.start)

        await go_on(world, crm)
        after = said(world)
        assert (during["tables.stale"], during["tables.stale_over"]) == (1, 0)
        assert (after["tables.stale"], after["tables.stale_over"]) == (1, 1)
        assert during["topics.unknown"] <= 2
        assert after["topics.unknown"] == after["topics.unknown_over"]
        assert grown < GROWTH
