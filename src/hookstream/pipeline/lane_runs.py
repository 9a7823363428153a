"""Begins the attempts that have a permit, in the next iteration of the event loop, and reports their results.

Nearly every attempt needs no coroutine: its request is written at once, and the connection calls back. All
attempts that got a permit in one iteration begin together, so the same code runs several times in a row.
When an attempt ends, the next one of its lane begins at once. A continuation is awaited in a task. An exception
in a callback ends the process, as one in a task does.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, TypeAlias

from hookstream.core.model.outcome import Withheld
from hookstream.errors import InvariantBroken
from hookstream.pipeline.open_attempt import AttemptListener, AttemptResult, OpenAttempt
from hookstream.pipeline.ports import Continuation
from hookstream.pipeline.work import Work

if TYPE_CHECKING:
    from hookstream.pipeline.batches import BatchEnd
    from hookstream.pipeline.lane_queue import LaneQueue

BeginAttempt: TypeAlias = Callable[
    [Work, AttemptListener], OpenAttempt | Continuation[AttemptResult] | AttemptResult
]
"""Begins the attempt of one delivery, as `Attempts.begin` does."""
AttemptBatch: TypeAlias = "Callable[[Sequence[Work], LaneQueue], Awaitable[BatchEnd]]"
"""Makes one request with several deliveries; returns those that go back to the head of the lane."""
OnRunEnded: TypeAlias = "Callable[[LaneRun, AttemptResult, Sequence[Work], float | None], None]"
"""Takes the result of a run, the work that returns to its lane, and when the answer came."""


class LaneRun:
    """One attempt of a lane, with its permit."""

    __slots__ = ("_runs", "open", "queue", "reserved", "ticket", "works")

    def __init__(
        self,
        runs: "LaneRuns",
        queue: "LaneQueue",
        ticket: int,
        works: Sequence[Work],
        reserved: bool,  # noqa: FBT001
    ) -> None:
        self._runs = runs
        self.queue = queue
        self.ticket = ticket
        self.works = works
        self.reserved = reserved
        """Whether its permit is a reserved one."""
        self.open: OpenAttempt | None = None
        """Its attempt, while it is open."""

    def ended(self, came: AttemptResult | Continuation[AttemptResult]) -> None:
        """As AttemptListener says."""
        self._runs.ended(self, came)

    def broke(self, error: BaseException) -> None:
        """As AttemptListener says."""
        self._runs.broke(error)


class LaneRuns:
    """The attempts of all lanes that have their permits."""

    def __init__(self, begin: BeginAttempt, together: AttemptBatch, over: OnRunEnded) -> None:
        """Call `over` when a run ends; it may begin others."""
        self._begin = begin
        self._together = together
        self._over = over
        self._next: list[LaneRun] = []
        """Those that begin in the next iteration of the event loop."""
        self._open: set[LaneRun] = set()
        self._cut = False
        self._tasks: asyncio.TaskGroup | None = None
        self._loop: asyncio.AbstractEventLoop

    def open(self, tasks: asyncio.TaskGroup) -> None:
        """Await continuations as children of `tasks` from now on."""
        self._tasks = tasks
        self._loop = asyncio.get_running_loop()

    @property
    def tasks(self) -> asyncio.TaskGroup:
        """The parent of all tasks of lanes."""
        if self._tasks is None:
            raise InvariantBroken("lanes were offered work before they were opened")
        return self._tasks

    def begin(self, run: LaneRun) -> None:
        """Begin an attempt in the next iteration of the event loop."""
        if self._tasks is None:
            raise InvariantBroken("lanes were offered work before they were opened")
        if not self._next:
            self._loop.call_soon(self._begin_all)
        self._next.append(run)

    def _begin_all(self) -> None:
        runs, self._next = self._next, []
        for run in runs:
            if self._cut:
                return
            try:
                works = run.works
                if len(works) > 1 or works[0].halving is not None:
                    self.start(self._run_together(run))
                else:
                    self._go_on(run, self._begin(works[0], run))
            except BaseException as error:  # noqa: BLE001  it must not be left to the event loop
                self.broke(error)

    def _go_on(
        self, run: LaneRun, begun: OpenAttempt | Continuation[AttemptResult] | AttemptResult
    ) -> None:
        if isinstance(begun, OpenAttempt):
            run.open = begun
            self._open.add(run)
        elif isinstance(begun, Continuation):
            self.start(self._run(run, begun))
        else:
            self._over(run, begun, run.works if isinstance(begun, Withheld) else (), None)

    def start(self, run: Coroutine[None, None, None]) -> asyncio.Task[None] | None:
        """Start a task; None: all tasks are being cancelled, and nothing more begins."""
        try:
            return self.tasks.create_task(run)
        except RuntimeError:
            # The group takes no more tasks: it is being cancelled, or one of them has failed.
            run.close()
            self.cut_off()
            return None

    async def _run(self, run: LaneRun, rest: Continuation[AttemptResult]) -> None:
        self._go_on(run, await rest.run())

    async def _run_together(self, run: LaneRun) -> None:
        came, back, answered_at = await self._together(run.works, run.queue)
        self._over(run, came, back, answered_at)

    def ended(self, run: LaneRun, came: AttemptResult | Continuation[AttemptResult]) -> None:
        """Take the result of an open attempt. It never raises, because the caller is a socket's callback."""
        self._open.discard(run)
        # Break the reference cycle: otherwise the delivery's event and body stay in memory until the garbage
        # collector runs, which then stops the event loop to free thousands of them.
        run.open = None
        if self._cut:
            return
        try:
            self._go_on(run, came)
            # The next attempt of its lane begins at once: an iteration later, more work would be queued.
            self._begin_all()
        except BaseException as error:  # noqa: BLE001  it must not be left to the event loop
            self.broke(error)

    def broke(self, error: BaseException) -> None:
        """End the process because a callback raised: no other attempt begins."""
        self.cut_off()
        self.start(_raise(error))

    async def watch(self) -> None:
        """Abandon the open attempts when this is cancelled: nothing of them is settled, so they may repeat."""
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.cut_off()

    def cut_off(self) -> None:
        """Abandon all open attempts, and begin no other."""
        self._cut = True
        runs, self._open = self._open, set()
        for run in runs:
            attempt, run.open = run.open, None
            if attempt is not None:
                attempt.abandon()


async def _raise(error: BaseException) -> None:
    raise error
