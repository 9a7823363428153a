"""The time for which a process did not run is not charged to its endpoints."""

import asyncio

import pytest
from tests.doubles.clock import LoopClock
from tests.doubles.endpoint import status
from tests.scenarios.world import World

from hookstream.core.model.instant import Millis


class Freezable(LoopClock):
    """A clock that can find that time passed in which nothing ran."""

    def __init__(self) -> None:
        super().__init__()
        self._frozen = 0.0

    def freeze(self, seconds: float) -> None:
        self._frozen += seconds

    def now(self) -> Millis:
        return super().now() + round(self._frozen * 1000)

    def monotonic(self) -> float:
        return super().monotonic() + self._frozen


@pytest.mark.parametrize("seconds", [3.0, 12.0, 45.0])
async def test_the_time_in_which_a_worker_was_frozen_does_not_count_as_latency(
    seconds: float,
) -> None:
    """Else each lane would be full with one delivery, and new events would wait in tiers for minutes."""
    async with World(partitions=2) as world:
        clock = world.clock = world.broker.clock = Freezable()
        for name in ("crm", "erp"):
            world.subscribe(name, max_in_flight=8)
            world.endpoints.script(name, status(204, after=0.1))
        await world.worker()
        for number in range(400):
            world.publish(f"e{number}")
            await asyncio.sleep(0.02)
            if number == 200:
                clock.freeze(seconds)
        await world.until(world.settled, within=60)

        assert world.tier_writes() == []
        assert set(world.accepted("crm").values()) == {1}
        assert max(world.metrics.latencies) < (seconds + 3) * 1000
        assert "breaker.opened" not in world.logger.events("warning")
