"""A worker that was frozen goes by what was decided meanwhile, not by what it held in memory."""

import asyncio
import os
import signal
import time
from typing import Any

import pytest
from tests.e2e.world import World, until

pytestmark = [pytest.mark.looptime(False), pytest.mark.timeout(300)]  # noqa: FBT003

STOPPED = ("deleted", "held", "narrowed")
ANSWERS_AFTER = 0.3
"""Seconds: slow enough for a queue, quick enough to be healthy."""
WITHIN_ONE_CALL = 2
"""Requests that may have been between the check and the socket when the process was frozen."""


class Slow:
    """An endpoint that takes a while, and remembers when each request came."""

    def __init__(self) -> None:
        self.came: list[float] = []

    async def __call__(self, body: dict[str, Any], before: int) -> int:
        del body, before
        self.came.append(time.monotonic())
        await asyncio.sleep(ANSWERS_AFTER)
        return 204


async def test_what_was_stopped_while_a_worker_was_frozen_is_not_sent(world: World) -> None:
    """A deletion, a hold and a narrower grant, with a queue in each lane; the fourth is let go on."""
    slow: dict[str, Slow] = {}
    for name in (*STOPPED, "going-on"):
        partner = await world.subscribe(name)
        partner.answer(slow.setdefault(name, Slow()))
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
        await world.stage.hookstream("subscriptions", "delete", "deleted", "--yes")
        await world.stage.hookstream("hold", "set", "endpoint", "held", "--reason", "they asked")
        definitions = world.stage.folder / "definitions"
        grant = definitions / "partners" / "narrowed.yaml"
        grant.write_text(grant.read_text().replace("[pricing.completed]", "[order.generated]"))
        (definitions / "subscriptions" / "deleted.yaml").unlink()
        await world.stage.hookstream("apply", str(definitions), "--yes")
        await asyncio.sleep(3)
    finally:
        thawed = time.monotonic()
        os.kill(pid, signal.SIGCONT)

    await until(
        lambda: len(set(world.partners["going-on"].accepted)) == 60, 60, lambda: "not all arrived"
    )
    await asyncio.sleep(2)
    after = {name: sum(at > thawed for at in slow[name].came) for name in STOPPED}
    assert all(count <= WITHIN_ONE_CALL for count in after.values()), after
