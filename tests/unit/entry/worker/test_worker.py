"""A worker that ends logs what ended it, in one sentence."""

import asyncio

import pytest

from hookstream.entry.worker.worker import cause_of
from hookstream.errors import ConfigurationError


async def test_the_one_cause_is_found_however_deep_the_tasks_are_nested() -> None:
    """The command line prints a sentence for our own errors only, never for a group of them."""

    async def fail() -> None:
        await asyncio.sleep(0)
        raise ConfigurationError("set kafka.group_protocol = 'classic'")

    async def nest(depth: int) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fail() if depth == 0 else nest(depth - 1))

    with pytest.raises(BaseExceptionGroup) as caught:
        await nest(3)

    assert str(cause_of(caught.value)) == "set kafka.group_protocol = 'classic'"
