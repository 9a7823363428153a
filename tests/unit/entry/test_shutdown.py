"""One deadline is shared out between draining and closing, and then the process ends by force."""

import asyncio

import pytest
from tests.doubles.clock import LoopClock

from hookstream.core.model.instant import SECOND
from hookstream.entry.shutdown import Shutdown


async def test_closing_has_its_part_of_the_deadline() -> None:
    forced: list[float] = []
    shutdown = Shutdown(LoopClock(), 25 * SECOND, forced.append)
    assert (shutdown.drain, shutdown.took, forced) == (23 * SECOND, 0.0, [])

    shutdown.begin()
    await asyncio.sleep(shutdown.drain / 1000)

    assert (shutdown.took, shutdown.left) == pytest.approx((23.0, 2.0))
    assert forced == [26.0]


async def test_no_close_is_waited_for_longer_than_is_of_use() -> None:
    shutdown = Shutdown(LoopClock(), 25 * SECOND, lambda _: None)
    shutdown.begin()

    assert shutdown.left == 5.0


async def test_a_close_is_tried_even_when_nothing_is_left() -> None:
    shutdown = Shutdown(LoopClock(), 0, lambda _: None)
    shutdown.begin()
    await asyncio.sleep(3)

    assert (shutdown.drain, shutdown.left) == (0, 0.25)
