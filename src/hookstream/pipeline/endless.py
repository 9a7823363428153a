"""Ends the worker if a loop returns that must run until it is cancelled."""

import asyncio
from collections.abc import Callable, Coroutine

from hookstream.errors import InvariantBroken


async def endless(what: str, loop: Callable[[], Coroutine[None, None, None]]) -> None:
    """Run a loop until this task is cancelled.

    A task group treats a task that returned, or that was cancelled from within, as done: a worker would
    continue without its intake, and log nothing.

    Args:
        what: The loop's name, for the error.
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
        raise InvariantBroken(f"{what} was cancelled unexpectedly") from cancelled
    raise InvariantBroken(f"{what} returned unexpectedly")
