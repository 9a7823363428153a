"""Runs handlers on threads of their own, so that a blocking one delays no other request."""

import asyncio
import heapq
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock, local
from typing import TypeVar

T = TypeVar("T")

_OF_THREAD = local()


def place() -> int | None:
    """Return the place of the handler that runs on this thread, from 0 on; None: none runs on it.

    Handlers that run at the same time have different places; each got the lowest free one when it began.
    """
    found: int | None = getattr(_OF_THREAD, "place", None)
    return found


class RequestThreads:
    """Runs handlers, each on a thread of its own, up to a number at once."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._threads = ThreadPoolExecutor(most, thread_name_prefix="requests")
        self._free = list(range(most))
        self._lock = Lock()

    async def run(self, compute: Callable[[], T]) -> T:
        """Return what `compute` returns."""
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, self._placed, compute
        )

    def close(self) -> None:
        """Start no further handler, without waiting for running ones."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _placed(self, compute: Callable[[], T]) -> T:
        with self._lock:
            _OF_THREAD.place = heapq.heappop(self._free)
        try:
            return compute()
        finally:
            with self._lock:
                heapq.heappush(self._free, _OF_THREAD.place)
                _OF_THREAD.place = None
