"""Lets a client's own thread call code on the event loop, with or without waiting for its result."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class LoopBridge:
    """Calls from a thread into one loop. Every method may be called on any thread except the loop's.

    Args:
        loop: The loop.
        failed: Called on the loop with the exception of a posted callback.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, failed: Callable[[Exception], None]
    ) -> None:
        self._loop = loop
        self._failed = failed

    def post(self, callback: Callable[..., None], *arguments: object) -> None:
        """Call something on the loop, in the order of the posts, without waiting."""
        # The loop may have closed, and then there is nobody to notify.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._call, callback, *arguments)

    def _call(self, callback: Callable[..., None], *arguments: object) -> None:
        try:
            callback(*arguments)
        except Exception as error:  # noqa: BLE001  it would end in the loop's log otherwise
            self._failed(error)

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on the loop, and return the future of its result.

        Raises:
            TimeoutError: The loop has ended.
        """
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()
            raise TimeoutError("the event loop has ended") from None

    def run(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        """Return what a coroutine on the loop returns; it is cancelled if it takes too long.

        Raises:
            TimeoutError: It took too long, or the loop has ended.
            CancelledError: It was cancelled on the loop (the class of `concurrent.futures`).
        """
        done = self.submit(work)
        try:
            return done.result(seconds)
        finally:
            done.cancel()
