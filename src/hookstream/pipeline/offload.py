"""What takes long is computed beside the event loop, which goes on meanwhile."""

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Offload(Protocol):
    """Runs one computation after another, each while the event loop does other things."""

    async def run(self, compute: Callable[[], T]) -> T:
        """Return what `compute` returns, or raise what it raises.

        It changes nothing but its own objects and caches, since others run at the same time.
        """


class OnTheLoop:
    """An Offload that computes on the event loop itself, when everybody else has had a turn."""

    async def run(self, compute: Callable[[], T]) -> T:
        """As Offload says."""
        await asyncio.sleep(0)
        return compute()
