"""What is done periodically is called by timers alone: a worker without work does little else.

A task that sleeps takes about twice as long: its sleep is a future, a timer, and two turns of the event loop.
"""

import asyncio
from collections.abc import Callable


async def periodic(seconds: float, act: Callable[[], None]) -> None:
    """Call a function so many seconds after this began, and after it has returned each time, until cancelled.

    Raises:
        BaseException: What `act` raised. It is not called again.
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
