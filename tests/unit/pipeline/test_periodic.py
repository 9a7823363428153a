"""A function is called periodically until it raises, or until nobody waits for it any more."""

import asyncio

import pytest

from hookstream.pipeline.periodic import periodic


class Ticks:
    """Notes when it is called; its last call raises."""

    def __init__(self, *, calls: int, error: BaseException) -> None:
        self.at: list[float] = []
        self._calls = calls
        self._error = error

    def __call__(self) -> None:
        self.at.append(asyncio.get_running_loop().time())
        if len(self.at) == self._calls:
            raise self._error


@pytest.mark.parametrize("error", [ValueError("broken"), MemoryError()])
async def test_what_is_called_raises_where_it_is_awaited_and_is_not_called_again(
    error: Exception,
) -> None:
    ticks = Ticks(calls=3, error=error)

    with pytest.raises(type(error)) as raised:
        await periodic(0.25, ticks)

    assert raised.value is error
    await asyncio.sleep(10)
    assert ticks.at == [0.25, 0.5, 0.75]


async def test_what_no_coroutine_may_raise_ends_it_too() -> None:
    ticks = Ticks(calls=1, error=StopIteration())

    with pytest.raises(RuntimeError, match="StopIteration"):
        await periodic(1.0, ticks)


async def test_a_call_that_was_cancelled_from_within_does_not_end_it_silently() -> None:
    ticks = Ticks(calls=2, error=asyncio.CancelledError())

    with pytest.raises(asyncio.CancelledError):
        await periodic(1.0, ticks)

    assert ticks.at == [1.0, 2.0]


async def test_nothing_is_called_once_it_was_cancelled() -> None:
    ticks = Ticks(calls=99, error=ValueError())
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(periodic(1.0, ticks))
        await asyncio.sleep(2.5)
        task.cancel()
    await asyncio.sleep(10)

    assert task.cancelled()
    assert ticks.at == [1.0, 2.0]
