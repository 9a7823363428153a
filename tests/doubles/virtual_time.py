"""An event loop whose time is a number: it never waits, it moves on to what is due next.

A step costs a turn of the loop and no more, so an hour of a worker that has nothing to do passes
in milliseconds. Nothing outside can wake it: no sockets, no signals, no threads.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from dataclasses import dataclass
from heapq import heappop, heappush
from operator import attrgetter
from random import Random
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")

FAR = 7 * 24 * 3600.0
"""Virtual seconds after which a story that still runs is taken to run for ever."""

_RESOLUTION = 1e-6
"""Seconds within which calls are due together."""


class NothingWillHappen(Exception):
    """Raised if every task waits and no timer is due."""


class _Call(float):
    """A call that is to come, as its due time and its own handle.

    A number, so that `heapq` compares calls without Python, by nothing but their due times, as asyncio's.
    """

    __slots__ = ("args", "callback", "context", "made")
    context: Context
    made: int
    """Its number among the loop's timers."""
    callback: Callable[..., object] | None
    """None once it is cancelled."""
    args: tuple[object, ...]

    def cancel(self) -> None:
        self.callback = None
        self.args = ()

    def cancelled(self) -> bool:
        return self.callback is None

    def when(self) -> float:
        return float(self)

    def __bool__(self) -> bool:
        return True


Ties: TypeAlias = Callable[[list[_Call]], None]
"""Arranges the timers of one instant in the order in which they fire.

asyncio promises none: on a real clock it follows from microseconds. What depends on it is a fault.
"""

_made = attrgetter("made")


def first_made(calls: list[_Call]) -> None:
    """Let the timers of one instant fire in the order in which they were made."""
    calls.sort(key=_made)


def last_made(calls: list[_Call]) -> None:
    """Let the timers of one instant fire in the opposite order."""
    calls.sort(key=_made, reverse=True)


def drawn(seed: int) -> Ties:
    """Let the timers of one instant fire in an order that a seed decides."""
    chance = Random(seed)

    def arrange(calls: list[_Call]) -> None:
        calls.sort(key=_made)
        chance.shuffle(calls)

    return arrange


def ties(asked: str) -> Ties:
    """Return an order by its name: `first` (made), `last`, or the seed of a drawn one."""
    named = {"first": first_made, "last": last_made}
    return named[asked] if asked in named else drawn(int(asked))


class VirtualTimeLoop(asyncio.BaseEventLoop):
    """A loop that is its own selector.

    Its calls and its turn replace asyncio's, which cost a fifth of all tests in memory: they keep what
    debugging and cancelled timers need. The order is asyncio's, but for timers of one instant.
    """

    _closed: bool
    _stopping: bool

    def __init__(self, ties: Ties = first_made) -> None:
        super().__init__()
        self.ties = ties
        self._timers = 0
        self.troubles: list[str] = []
        """What asyncio would have logged: an exception that was not retrieved, a task that was destroyed pending."""
        self._seconds = 0.0
        self._watched: list[_Watched] = []
        # asyncio's own names, since its `close` empties both.
        self._ready: deque[_Call] = deque()
        self._scheduled: list[_Call] = []
        self.set_exception_handler(self._trouble)

    def time(self) -> float:
        return self._seconds

    def call_soon(  # type: ignore[override]  # its handle is a call
        self, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> _Call:
        if self._closed:
            raise RuntimeError("the loop is closed")
        call = _Call()
        call.context = copy_context() if context is None else context
        call.callback = callback
        call.args = args
        self._ready.append(call)
        return call

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_at(  # type: ignore[override]  # its handle is a call
        self,
        when: float,
        callback: Callable[..., object],
        *args: object,
        context: Context | None = None,
    ) -> _Call:
        if self._closed:
            raise RuntimeError("the loop is closed")
        call = _Call(when)
        call.context = copy_context() if context is None else context
        call.callback = callback
        call.args = args
        call.made = self._timers = self._timers + 1
        heappush(self._scheduled, call)
        return call

    def call_later(  # type: ignore[override]  # its handle is a call
        self,
        delay: float,
        callback: Callable[..., object],
        *args: object,
        context: Context | None = None,
    ) -> _Call:
        return self.call_at(self._seconds + delay, callback, *args, context=context)

    def _run_once(self) -> None:
        """Go round once: move the time if nothing is to be done now, and make the calls that are due."""
        ready, scheduled = self._ready, self._scheduled
        while scheduled and scheduled[0].callback is None:
            heappop(scheduled)
        if not ready and not self._stopping:
            self._move()
        if scheduled and scheduled[0] < (until := self._seconds + _RESOLUTION):
            self._make_ready(until)
        popleft = ready.popleft
        for _ in range(len(ready)):
            call = popleft()
            callback = call.callback
            if callback is None:
                continue
            try:
                call.context.run(callback, *call.args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:  # noqa: BLE001  as asyncio does: it is the handler's
                self.call_exception_handler(
                    {"message": f"Exception in callback {callback}", "exception": error}
                )

    def _make_ready(self, until: float) -> None:
        """Move the timers that are due to what is ready, in the order in which they fire: there is one at least."""
        scheduled = self._scheduled
        first = heappop(scheduled)
        if not scheduled or scheduled[0] >= until:
            self._ready.append(first)
            return
        due = [first]
        while scheduled and scheduled[0] < until:
            due.append(heappop(scheduled))
        self.ties(due)
        self._ready += due

    def _move(self) -> None:
        """Move the time to what is due next, unless a condition that is awaited is true before."""
        due = self._scheduled[0] if self._scheduled else None
        if self._watched and self._come_true(due):
            return
        if due is None:
            raise NothingWillHappen
        if due > self._seconds:
            # Rounded, as sums of floats fall short of a due time by less than any timer's resolution.
            self._seconds = round(due, 9)
        if self._seconds > FAR:
            raise NothingWillHappen

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

    def _come_true(self, due: float | None) -> bool:
        """Return whether an awaited condition is true, now that all of this instant has happened."""
        came = False
        for watched in self._watched:
            if due is not None and due < watched.seen_at + watched.step:
                continue
            if watched.true.done():
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

    def _trouble(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.troubles.append(f"{context.get('message')}: {context.get('exception')!r}")


class BusyLoop(VirtualTimeLoop):
    """A loop on which work takes time: each callback makes the turn longer for all others."""

    def spend(self, seconds: float) -> None:
        """Let the present callback take so long."""
        self._seconds += seconds


@dataclass(slots=True, eq=False)
class _Watched:
    """A condition that is awaited by checking, since nothing notifies of it."""

    is_true: Callable[[], bool]
    step: float
    seen_at: float
    true: asyncio.Future[None]


def run(main: Coroutine[Any, Any, T], ties: Ties = first_made) -> T:
    """Run a coroutine to its end on its own loop, and then the tasks that it left."""
    loop = VirtualTimeLoop(ties)
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
