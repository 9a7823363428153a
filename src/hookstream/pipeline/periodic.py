"""Calls a function periodically by an event-loop timer, which costs half as much as a sleeping task.

A worker without work does little else. The sleep of a task is a future, a timer, and two iterations of the event
loop.
"""

import asyncio
from collections.abc import Callable


async def periodic(seconds: float, act: Callable[[], None]) -> None:
    """Call a function after `seconds`, and again `seconds` after each return, until cancelled.

    Raises:
        BaseException: An exception of `act`, which is not called again.
    """
    loop = asyncio.get_running_loop()
    is_over = asyncio.Event()
    raised: list[BaseException] = []
    timer: asyncio.TimerHandle

    def turn() -> None:
        nonlocal timer
        try:
            act()
        except BaseException as error:
            raised.append(error)
            is_over.set()
            if not isinstance(error, Exception | asyncio.CancelledError):
                raise
        else:
            timer = loop.call_later(seconds, turn)

    timer = loop.call_later(seconds, turn)
    try:
        await is_over.wait()
    finally:
        timer.cancel()
    raise raised[0]
