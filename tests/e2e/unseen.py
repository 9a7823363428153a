"""What operators change while a worker cannot see it: three of four subscriptions must receive nothing more."""

import asyncio
import time
from typing import Any

from tests.e2e.world import World

STOPPED = ("deleted", "held", "narrowed")
GOING_ON = "going-on"
ANSWERS_AFTER = 0.3
"""Seconds: slow enough for a queue, quick enough to be healthy."""


class Slow:
    """An endpoint that takes a while, and remembers when each request came."""

    def __init__(self) -> None:
        self.came: list[float] = []

    async def __call__(self, body: dict[str, Any], before: int) -> int:
        """Take it."""
        del body, before
        self.came.append(time.monotonic())
        await asyncio.sleep(ANSWERS_AFTER)
        return 204


async def subscribed(world: World, more: str = "") -> dict[str, Slow]:
    """Give all four a slow endpoint; `more`: further lines of their files."""
    slow: dict[str, Slow] = {}
    for name in (*STOPPED, GOING_ON):
        partner = await world.subscribe(name, more=more)
        partner.answer(slow.setdefault(name, Slow()))
    return slow


async def stop_three(world: World) -> None:
    """Delete one, hold one, and narrow the grant of one."""
    await world.stage.hookstream("subscriptions", "delete", "deleted", "--yes")
    await world.stage.hookstream("hold", "set", "endpoint", "held", "--reason", "they asked")
    definitions = world.stage.folder / "definitions"
    grant = definitions / "partners" / "narrowed.yaml"
    grant.write_text(grant.read_text().replace("[pricing.completed]", "[order.generated]"))
    (definitions / "subscriptions" / "deleted.yaml").unlink()
    await world.stage.hookstream("apply", str(definitions), "--yes")
