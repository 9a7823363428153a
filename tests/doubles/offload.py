"""An Offload without a thread, so that what is computed beside the loop is computed on virtual time."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class OnTheLoop:
    """Computes on the event loop itself, when everybody else has had a turn."""

    async def run(self, compute: Callable[[], T]) -> T:
        await asyncio.sleep(0)
        return compute()
