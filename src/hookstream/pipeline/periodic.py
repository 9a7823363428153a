"""What is done periodically is called by timers alone: a worker without work does little else.

A task that sleeps takes twice as long: its sleep is a future, a timer, and two turns of the event loop.
"""

import asyncio
from collections.abc import Callable


async def periodic(seconds: float, act: Callable[[], None]) -> None:
    """Call a function so many seconds after this began, and after it has returned each time, until cancelled.

    Raises:
        BaseException: What `act` raised. It is not called again.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    timer: asyncio.TimerHandle

    def turn() -> None:
        nonlocal timer
        try:
            act()
        except asyncio.CancelledError:
            # Nobody cancelled this; whoever awaits it finds that out.
            ended.cancel()
        except Exception as error:  # noqa: BLE001  it is raised where this is awaited
            ended.set_exception(error)
        except BaseException as error:
            ended.set_exception(error)
            raise
        else:
            timer = loop.call_later(seconds, turn)

    timer = loop.call_later(seconds, turn)
    try:
        await ended
    finally:
        timer.cancel()
