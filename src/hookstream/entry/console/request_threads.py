"""Handlers run on threads of their own, so that what blocks keeps no other request waiting."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class RequestThreads:
    """Runs handlers, each on a thread of its own, up to a number at once."""

    def __init__(self, most: int) -> None:
        self._threads = ThreadPoolExecutor(most, thread_name_prefix="requests")

    async def run(self, compute: Callable[[], T]) -> T:
        """Return what `compute` returns."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, compute)

    def close(self) -> None:
        """Start nothing further, without waiting for what runs."""
        self._threads.shutdown(wait=False, cancel_futures=True)
