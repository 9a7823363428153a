"""A loop that must go on until it is cancelled ends the worker where it ends by itself."""

import asyncio
from collections.abc import Callable, Coroutine

from hookstream.errors import InvariantBroken


async def endless(what: str, loop: Callable[[], Coroutine[None, None, None]]) -> None:
    """Run a loop until this task is cancelled.

    A task group takes a task that returned, or that was cancelled from within, for one that is done:
    a worker would go on without its intake, and say so nowhere.

    Args:
        what: What the loop does, for the error.
        loop: Makes the loop's coroutine. A task that is cancelled before it starts makes none.

    Raises:
        InvariantBroken: It returned, or a future that it waited for was cancelled.
    """
    try:
        await loop()
    except asyncio.CancelledError as cancelled:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise InvariantBroken(f"{what} was cancelled, and nobody asked for that") from cancelled
    raise InvariantBroken(f"{what} ended by itself")
