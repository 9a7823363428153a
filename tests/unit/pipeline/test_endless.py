"""A loop of a worker that ends by itself ends the worker."""

import asyncio
from collections.abc import Coroutine

import pytest

from hookstream.errors import InvariantBroken
from hookstream.pipeline.endless import endless


async def returns() -> None:
    """A loop that ends."""


async def waits_for_a_cancelled_future() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


async def fails() -> None:
    raise ValueError("no")


async def goes_on() -> None:
    await asyncio.Event().wait()


async def test_a_loop_that_returns_ends_its_task_group() -> None:
    with pytest.RaisesGroup(
        pytest.RaisesExc(InvariantBroken, match="intake returned unexpectedly")
    ):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(endless("intake", returns))
            tasks.create_task(endless("retrier", goes_on))


async def test_a_loop_that_is_cancelled_from_within_ends_its_task_group() -> None:
    with pytest.RaisesGroup(pytest.RaisesExc(InvariantBroken, match="was cancelled unexpectedly")):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(endless("intake", waits_for_a_cancelled_future))
            tasks.create_task(endless("retrier", goes_on))


async def test_what_a_loop_raises_is_passed_on() -> None:
    with pytest.raises(ValueError, match="no"):
        await endless("intake", fails)


async def test_a_loop_that_is_cancelled_by_its_owner_is_just_cancelled() -> None:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(endless("intake", goes_on))
        await asyncio.sleep(3)
        task.cancel()
    assert task.cancelled()


async def test_a_loop_whose_task_is_cancelled_before_it_starts_is_never_created() -> None:
    """A worker may be killed in the turn in which it starts: a coroutine left over is a warning."""
    made: list[str] = []

    def loop() -> Coroutine[None, None, None]:
        made.append("loop")
        return goes_on()

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(endless("intake", loop))
        task.cancel()

    assert (task.cancelled(), made) == (True, [])
