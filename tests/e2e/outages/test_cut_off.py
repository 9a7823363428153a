"""A worker that is cut off from Kafka stops sending within two seconds of a change that it cannot see."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from examples.demo.free_ports import free_port
from tests.e2e.link import Link
from tests.e2e.unseen import GOING_ON, STOPPED, stop_three, subscribed
from tests.e2e.world import World, a_world, until
from tests.real_broker import a_broker

pytestmark = pytest.mark.timeout(300)

WITHIN = 2.0
"""Seconds after the link is cut in which requests may still be made: docs/reliability.md has them."""
EVENTS = 90


@dataclass
class Place:
    """A world whose worker reaches the broker by its own link."""

    world: World
    link: Link


@pytest.fixture
async def place(tmp_path: Path, prefix: str) -> AsyncIterator[Place]:
    """A broker with a second listener, which it advertises at the link's address."""
    behind = free_port()
    async with Link(behind) as link:
        settings = {
            "listeners": "PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller},"
            f"LINKED://127.0.0.1:{behind}",
            "advertised.listeners": "PLAINTEXT://127.0.0.1:{port},"
            f"LINKED://127.0.0.1:{link.port}",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,"
            "LINKED:PLAINTEXT",
        }
        broker = await asyncio.to_thread(a_broker, settings)
        try:
            await asyncio.to_thread(broker.start)
            async with a_world(tmp_path / "world", broker.bootstrap_servers, prefix) as world:
                yield Place(world, link)
        finally:
            await asyncio.to_thread(broker.stop)


async def test_what_was_held_while_a_worker_was_cut_off_is_not_sent(place: Place) -> None:
    """A deletion, a hold and a narrower grant, with a queue in each lane; the fourth continues."""
    world, link = place.world, place.link
    slow = await subscribed(world, "limits:\n  max_in_flight: 4\n")
    world.stage.environ["HOOKSTREAM_KAFKA__BOOTSTRAP_SERVERS"] = f"127.0.0.1:{link.port}"
    await world.stage.start_worker()
    del world.stage.environ["HOOKSTREAM_KAFKA__BOOTSTRAP_SERVERS"]
    await world.publish(EVENTS)
    await until(
        lambda: all(len(each.came) >= 8 for each in slow.values()),
        60,
        lambda: {name: len(each.came) for name, each in slow.items()},
    )

    link.cut()
    cut = time.monotonic()
    try:
        await stop_three(world)
        await asyncio.sleep(max(0.0, cut + 10 - time.monotonic()))
        late = {name: sum(at > cut + WITHIN for at in each.came) for name, each in slow.items()}
        waiting = {name: EVENTS - len(each.came) for name, each in slow.items()}
    finally:
        link.mend()
    mended = time.monotonic()

    assert late == dict.fromkeys(slow, 0)
    assert min(waiting.values()) > 0
    await until(
        lambda: len(set(world.partners[GOING_ON].accepted)) == EVENTS,
        60,
        lambda: f"{len(set(world.partners['going-on'].accepted))} of {EVENTS} arrived",
    )
    await asyncio.sleep(2)
    after = {name: sum(at > mended for at in slow[name].came) for name in STOPPED}
    assert after == dict.fromkeys(STOPPED, 0)
