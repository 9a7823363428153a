"""A lane's attempt that has its permit begins in the next turn of the event loop, and reports how it ended.

Nearly every attempt needs no coroutine: its request is written at once, and the connection calls back. All
that got a permit in one turn begin together, so that the same code runs again at once; where an attempt ends,
the next one of its lane begins at once. What must be awaited is a task. What a callback raises ends the process,
as it would if a task raised it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, TypeAlias

from hookstream.core.model.outcome import Withheld
from hookstream.errors import InvariantBroken
from hookstream.pipeline.open_attempt import AttemptListener, Came, OpenAttempt
from hookstream.pipeline.ports import Continuation
from hookstream.pipeline.work import Work

if TYPE_CHECKING:
    from hookstream.pipeline.batches import BatchEnd
    from hookstream.pipeline.lane_queue import LaneQueue

Begin: TypeAlias = Callable[[Work, AttemptListener], OpenAttempt | Continuation[Came] | Came]
"""Begins the attempt of one delivery, as `Attempts.begin` does."""
Together: TypeAlias = "Callable[[Sequence[Work], LaneQueue], Awaitable[BatchEnd]]"
"""Makes one request with several deliveries, and says which of them return to the head of the lane."""
Over: TypeAlias = "Callable[[LaneTurn, Came, Sequence[Work], float | None], None]"
"""Takes how a turn ended: its outcome, the work that returns to its lane, and when it was answered."""


class LaneTurn:
    """One attempt of a lane, with its permit."""

    __slots__ = ("_turns", "open", "queue", "reserved", "ticket", "works")

    def __init__(
        self,
        turns: "LaneTurns",
        queue: "LaneQueue",
        ticket: int,
        works: Sequence[Work],
        reserved: bool,  # noqa: FBT001
    ) -> None:
        self._turns = turns
        self.queue = queue
        self.ticket = ticket
        self.works = works
        self.reserved = reserved
        """Whether its permit is a reserved one."""
        self.open: OpenAttempt | None = None
        """Its attempt, while that is open."""

    def ended(self, came: Came | Continuation[Came]) -> None:
        """As AttemptListener says."""
        self._turns.ended(self, came)

    def broke(self, error: BaseException) -> None:
        """As AttemptListener says."""
        self._turns.broke(error)


class LaneTurns:
    """The attempts of all lanes that have their permits."""

    def __init__(self, begin: Begin, together: Together, over: Over) -> None:
        """Call `over` for each turn that ended; it may begin others."""
        self._begin = begin
        self._together = together
        self._over = over
        self._next: list[LaneTurn] = []
        """Those that begin in the next turn of the event loop."""
        self._open: set[LaneTurn] = set()
        self._cut = False
        self._tasks: asyncio.TaskGroup | None = None
        self._loop: asyncio.AbstractEventLoop

    def open(self, tasks: asyncio.TaskGroup) -> None:
        """Run what must be awaited as children of `tasks` from now on."""
        self._tasks = tasks
        self._loop = asyncio.get_running_loop()

    @property
    def tasks(self) -> asyncio.TaskGroup:
        """The parent of whatever lanes run."""
        if self._tasks is None:
            raise InvariantBroken("lanes were offered work before they were opened")
        return self._tasks

    def begin(self, turn: LaneTurn) -> None:
        """Begin an attempt in the next turn of the event loop."""
        if self._tasks is None:
            raise InvariantBroken("lanes were offered work before they were opened")
        if not self._next:
            self._loop.call_soon(self._begin_all)
        self._next.append(turn)

    def _begin_all(self) -> None:
        turns, self._next = self._next, []
        for turn in turns:
            if self._cut:
                return
            try:
                works = turn.works
                if len(works) > 1 or works[0].halving is not None:
                    self.start(self._run_together(turn))
                else:
                    self._go_on(turn, self._begin(works[0], turn))
            except BaseException as error:  # noqa: BLE001  it must not be left to the event loop
                self.broke(error)

    def _go_on(self, turn: LaneTurn, begun: OpenAttempt | Continuation[Came] | Came) -> None:
        if isinstance(begun, OpenAttempt):
            turn.open = begun
            self._open.add(turn)
        elif isinstance(begun, Continuation):
            self.start(self._run(turn, begun))
        else:
            self._over(turn, begun, turn.works if isinstance(begun, Withheld) else (), None)

    def start(self, run: Coroutine[None, None, None]) -> asyncio.Task[None] | None:
        """Run what must be awaited; None: all tasks are being cancelled, and nothing more begins."""
        try:
            return self.tasks.create_task(run)
        except RuntimeError:
            # Their group takes no more: it is being cancelled, or a task of it has failed.
            run.close()
            self.cut_off()
            return None

    async def _run(self, turn: LaneTurn, rest: Continuation[Came]) -> None:
        self._go_on(turn, await rest.run())

    async def _run_together(self, turn: LaneTurn) -> None:
        came, back, answered_at = await self._together(turn.works, turn.queue)
        self._over(turn, came, back, answered_at)

    def ended(self, turn: LaneTurn, came: Came | Continuation[Came]) -> None:
        """Note how an open attempt ended. Nothing is raised: the caller is a socket."""
        self._open.discard(turn)
        # Each refers to the other. Together they would keep the delivery's event and body for as long as the
        # garbage collector takes to come, which then stops the event loop to free thousands of them.
        turn.open = None
        if self._cut:
            return
        try:
            self._go_on(turn, came)
            # The next attempt of its lane begins at once: a turn later, more would have gathered behind.
            self._begin_all()
        except BaseException as error:  # noqa: BLE001  it must not be left to the event loop
            self.broke(error)

    def broke(self, error: BaseException) -> None:
        """End the process for what a callback raised: no other attempt begins."""
        self.cut_off()
        self.start(_raise(error))

    async def watch(self) -> None:
        """Cut off what is open when this is cancelled: nothing of it is settled, and it may repeat."""
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.cut_off()

    def cut_off(self) -> None:
        """Abandon all open attempts, and begin no other."""
        self._cut = True
        turns, self._open = self._open, set()
        for turn in turns:
            attempt, turn.open = turn.open, None
            if attempt is not None:
                attempt.abandon()


async def _raise(error: BaseException) -> None:
    raise error
