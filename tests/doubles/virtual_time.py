"""An event loop whose time is a number: it never waits, it moves on to what is due next.

A step costs a turn of the loop and no more, so an hour of a worker that has nothing to do passes
in milliseconds. Nothing outside can wake it: no sockets, no signals, no threads.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

FAR = 7 * 24 * 3600.0
"""Virtual seconds after which a story that still runs is taken to run for ever."""


class NothingWillHappen(Exception):
    """Raised if every task waits and no timer is due."""


class VirtualTimeLoop(asyncio.BaseEventLoop):
    """A loop that is its own selector."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = 0
        """How often it went round."""
        self.troubles: list[str] = []
        """What asyncio would have logged: an exception that was not retrieved, a task that was destroyed pending."""
        self._seconds = 0.0
        self._watched: list[_Watched] = []
        self._clock_resolution = 1e-6
        self._selector = self
        self.set_exception_handler(self._trouble)

    def time(self) -> float:
        return self._seconds

    def select(self, timeout: float | None) -> Sequence[object]:
        """Replace the selector: instead of waiting, move the time."""
        self.turns += 1
        if timeout != 0 and self._watched and self._come_true(timeout):
            return ()
        if timeout is None:
            raise NothingWillHappen
        # Rounded, as sums of floats fall short of a due time by less than any timer's resolution.
        self._seconds = round(self._seconds + timeout, 9)
        if self._seconds > FAR:
            raise NothingWillHappen
        return ()

    async def until(self, is_true: Callable[[], bool], step: float) -> None:
        """Wait until a condition is true: checked before time moves, `step` virtual seconds apart."""
        if is_true():
            return
        watched = _Watched(is_true, step, self._seconds, self.create_future())
        self._watched.append(watched)
        try:
            await watched.true
        finally:
            self._watched.remove(watched)

    def _come_true(self, timeout: float | None) -> bool:
        """Return whether an awaited condition is true, now that all of this instant has happened."""
        came = False
        for watched in self._watched:
            due = timeout is None or self._seconds + timeout >= watched.seen_at + watched.step
            if not due or watched.true.done():
                continue
            watched.seen_at = self._seconds
            try:
                if not watched.is_true():
                    continue
                watched.true.set_result(None)
            except Exception as error:  # noqa: BLE001  it is the waiting test's to know
                watched.true.set_exception(error)
            came = True
        return came

    def _process_events(self, _: Sequence[object]) -> None:
        """Do nothing: no file is watched."""

    def _write_to_self(self) -> None:
        """Do nothing: no thread calls."""

    def _trouble(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.troubles.append(f"{context.get('message')}: {context.get('exception')!r}")


@dataclass(slots=True, eq=False)
class _Watched:
    """A condition that is awaited by checking, since nothing notifies of it."""

    is_true: Callable[[], bool]
    step: float
    seen_at: float
    true: asyncio.Future[None]


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on its own loop, and then the tasks that it left."""
    loop = VirtualTimeLoop()
    try:
        return loop.run_until_complete(main)
    finally:
        _cancel_all(loop)
        loop.close()


def _cancel_all(loop: VirtualTimeLoop) -> None:
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(_all_over(left))


async def _all_over(tasks: set[asyncio.Task[Any]]) -> None:
    await asyncio.wait(tasks)
