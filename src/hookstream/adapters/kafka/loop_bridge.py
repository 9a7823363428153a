"""Lets a client's own thread speak with the event loop: tell it, ask it, have it do something."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class LoopBridge:
    """The way from a thread to one loop. Every call may be made on any thread but the loop's."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def tell(self, told: Callable[..., None], *arguments: object) -> None:
        """Have something called on the loop, in order, without waiting."""
        # The loop may have closed: nobody is left to be told then.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(told, *arguments)

    def ask(self, asked: Callable[[], T], seconds: float) -> T:
        """Return what a call on the loop returns, and raise what it raises.

        Raises:
            TimeoutError: The loop was too busy, or has ended.
        """
        answer: Future[T] = Future()

        def call() -> None:
            if not answer.set_running_or_notify_cancel():
                return
            try:
                answer.set_result(asked())
            except BaseException as error:  # noqa: BLE001  it is raised where it was asked
                answer.set_exception(error)

        self.tell(call)
        try:
            return answer.result(seconds)
        finally:
            answer.cancel()

    def do(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        """Return what a coroutine on the loop returns; it is cancelled where it takes too long.

        Raises:
            TimeoutError: It took too long, or the loop has ended.
            CancelledError: It was cancelled on the loop; that of `concurrent.futures`.
        """
        try:
            done = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()
            raise TimeoutError("the event loop has ended") from None
        try:
            return done.result(seconds)
        finally:
            done.cancel()
