"""The fence around one record: whose fault an exception is, and that it stops one partition at most.

1. The record is to blame for the exceptions that `BLAMED` lists, and for no other. Before the match it
   is undecodable, from the match on a dead letter of that delivery alone.
2. Everything else is a defect of ours. Before the request is sent, the record's partition stops and
   the step is tried again with growing pauses, until it succeeds or an operator steps over the record.
   Once the request was sent, the attempt counts as failed (`internal_error`).
3. `ENDS` passes the fence and ends the process: going on could lose a delivery.
4. A line of code that stops three partitions within a minute ends the process: a bad release.
"""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from hookstream.core.model.record import TopicPartition
from hookstream.errors import DependencyUnavailable, InvariantBroken
from hookstream.pipeline.ports import Clock, Journal
from hookstream.pipeline.skips import Skips

if TYPE_CHECKING:
    from hookstream.pipeline.partitions import Receipt


class Step(StrEnum):
    """Where in the pipeline an exception was raised."""

    READ = "read"
    READ_STATE = "read_state"
    IDENTIFY = "identify"
    DECODE = "decode"
    MATCH = "match"
    WAIT = "wait"
    RENDER = "render"
    ENCODE = "encode"
    PREPARE = "prepare"
    SETTLE = "settle"
    TELL = "tell"


BLAMED: Mapping[Step, tuple[type[Exception], ...]] = {
    Step.READ: (),
    Step.READ_STATE: (),
    # The name of a schema that is no text.
    Step.IDENTIFY: (UnicodeDecodeError,),
    # A text that is none; a number or a time that no type of ours can hold.
    Step.DECODE: (UnicodeDecodeError, OverflowError),
    Step.MATCH: (),
    Step.WAIT: (),
    # A value of the event that the body's format cannot hold: a time beyond year 9999, half a character.
    Step.RENDER: (UnicodeEncodeError, OverflowError),
    Step.ENCODE: (UnicodeEncodeError, OverflowError),
    Step.PREPARE: (),
    Step.SETTLE: (),
    Step.TELL: (),
}
"""The exceptions that a record is to blame for, by step. What a step expects of its input it returns
as a value; these remain. A new entry needs a test with a record that raises it."""

ENDS = (InvariantBroken, DependencyUnavailable, MemoryError)
"""What passes the fence: a broken invariant, a fenced or fatal producer, a lost group, no memory."""

MOST_PARTITIONS = 3
"""Partitions that one line of code may stop within `WITHIN` seconds; the last one ends the process."""

WITHIN = 60.0
"""Seconds."""

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
"""Seconds between two tries of a step that stopped its partition."""

_MOST_LINES = 1_000
"""Lines of code that are remembered; the oldest goes first."""

_MOST_DETAIL = 300
"""Characters of an exception that are logged."""


def line_of(error: BaseException) -> str:
    """Return the line of code that raised an exception, `pipeline/settler.py:120 in _dead`."""
    frames = traceback.extract_tb(error.__traceback__, limit=-1)
    if not frames:
        return type(error).__name__
    file = frames[-1].filename.replace("\\", "/").rpartition("/hookstream/")[2]
    return f"{'/'.join(file.split('/')[-3:])}:{frames[-1].lineno} in {frames[-1].name}"


def described(error: BaseException) -> str:
    """Return an exception as a line for people, bounded."""
    return f"{type(error).__name__}: {error}"[:_MOST_DETAIL]


class StoppedLines:
    """Which partitions each line of code stopped lately."""

    def __init__(self) -> None:
        """Know of none."""
        self._stopped: dict[str, dict[TopicPartition, float]] = {}

    def note(self, error: Exception, where: TopicPartition, now: float) -> None:
        """Note that the line which raised `error` stopped a partition.

        Raises:
            InvariantBroken: It stopped `MOST_PARTITIONS` within `WITHIN` seconds.
        """
        line = line_of(error)
        stopped = self._stopped.setdefault(line, {})
        if len(self._stopped) > _MOST_LINES:
            del self._stopped[next(iter(self._stopped))]
        stopped[where] = now
        for each in [each for each, at in stopped.items() if now - at >= WITHIN]:
            del stopped[each]
        if len(stopped) >= MOST_PARTITIONS:
            raise InvariantBroken(
                f"{line} stopped {len(stopped)} partitions within a minute: {described(error)}."
                " This is a defect of this release: start the release before it"
            ) from error


class Unexpected:
    """Logs defects: each line of code once with its stack. Safe to use from any thread."""

    def __init__(self, journal: Journal) -> None:
        """Log nothing yet."""
        self._journal = journal
        self._known: dict[str, None] = {}

    def note(self, error: Exception, step: Step) -> None:
        """Log an exception that nobody expected, unless its line was logged before.

        Raises:
            Exception: `error` itself, where it is one of `ENDS`.
        """
        if isinstance(error, ENDS):
            raise error
        line = f"{line_of(error)} {type(error).__name__}"
        if line in self._known:
            return
        self._known[line] = None
        if len(self._known) > _MOST_LINES:
            del self._known[next(iter(self._known))]
        stack = "".join(traceback.format_exception(error, limit=-40))
        try:
            self._journal.error(
                "defect.found",
                step=step.value,
                line=line_of(error),
                detail=described(error),
                stack=stack[-8_000:],
                remedy="this is a defect of hookstream: report it with the stack",
            )
        except Exception:  # noqa: BLE001  what is logged must not decide what becomes of a record
            return


@dataclass(slots=True)
class Piece:
    """What stands still: a record, or one delivery of it."""

    receipt: "Receipt"
    step: Step
    error: Exception
    again: Callable[[], Awaitable[None]]
    """Takes the step again."""
    give_up: Callable[[], None]
    """Lets go of the receipt, as an operator stepped over the record."""
    delivery_id: str | None = None


class Fence:
    """Stops partitions for defects, and takes the steps again that failed."""

    def __init__(
        self,
        skips: Skips,
        clock: Clock,
        journal: Journal,
        current: Callable[[], Awaitable[None]],
    ) -> None:
        """Hold nothing before `open`.

        Args:
            skips: What operators stepped over.
            clock: Tells how much time lies between two stops.
            journal: Names what stands still, and the remedy.
            current: Returns when records may be matched: a step is not taken again before.
        """
        self._skips = skips
        self._clock = clock
        self._journal = journal
        self._current = current
        self._unexpected = Unexpected(journal)
        self._lines = StoppedLines()
        self._tasks: asyncio.TaskGroup | None = None
        self._later: list[Callable[[], Coroutine[None, None, None]]] = []
        """What failed before `open`."""
        self._told: dict[TopicPartition, list[Piece]] = {}
        """What stands still in each partition; only the first is told of."""

    def open(self, tasks: asyncio.TaskGroup) -> None:
        """Take steps again as children of `tasks` from now on."""
        self._tasks = tasks
        while self._later:
            tasks.create_task(self._later.pop()())

    def note(self, error: Exception, step: Step) -> None:
        """Log an exception that is ours.

        Raises:
            Exception: `error` itself, where it is one of `ENDS`.
        """
        self._unexpected.note(error, step)

    def stop(
        self,
        receipt: "Receipt",
        error: Exception,
        step: Step,
        *,
        again: Callable[[], Awaitable[None]],
        give_up: Callable[[], None],
        delivery_id: str | None = None,
    ) -> None:
        """Stop a record's partition for a defect of ours, and take the step again after a pause.

        Args:
            receipt: Of the record; one hold of it is in the caller's hands, and passes on.
            error: What the step raised.
            step: Which it is.
            again: Takes the step again; it raises as long as the step fails.
            give_up: Lets go of the hold, once an operator stepped over the record.
            delivery_id: The delivery that failed, where the step was about one.

        Raises:
            Exception: `error` itself, where it is one of `ENDS`.
            InvariantBroken: The same line of code stopped three partitions within a minute.
        """
        self.note(error, step)
        self._lines.note(error, receipt.where, self._clock.monotonic())
        if self._tasks is None:
            raise InvariantBroken("a step failed before the fence was opened") from error
        piece = Piece(receipt, step, error, again, give_up, delivery_id)
        receipt.block()
        self._told.setdefault(receipt.where, []).append(piece)
        self._tasks.create_task(self._hold(piece))

    def insist(self, act: Callable[[], None], wanted: Callable[[], bool]) -> None:
        """Notify of what belongs to no record; where that fails, again after a pause while `wanted`.

        Raises:
            Exception: What it raised, where that is one of `ENDS`.
        """
        try:
            act()
        except Exception as error:  # noqa: BLE001  the fence
            self.note(error, Step.TELL)
            again = partial(self._again, act, wanted)
            if self._tasks is None:
                self._later.append(again)
            else:
                self._tasks.create_task(again())

    async def _again(self, act: Callable[[], None], wanted: Callable[[], bool]) -> None:
        pause = FIRST_PAUSE
        while True:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            if not wanted():
                return
            try:
                act()
            except Exception as error:  # noqa: BLE001  the fence
                self.note(error, Step.TELL)
            else:
                return

    async def _hold(self, piece: Piece) -> None:
        """Keep a partition stopped until the step succeeds, or is stepped over, or is another's."""
        receipt, pause = piece.receipt, FIRST_PAUSE
        while receipt.live:
            self._tell(piece)
            if await self._skips.heard_within(pause, receipt.record):
                self._step_over(piece)
                break
            pause = min(2 * pause, LONGEST_PAUSE)
            await self._current()
            if receipt.wanted and await self._succeeds(piece):
                break
        standing = self._told[receipt.where]
        standing.remove(piece)
        if not standing:
            del self._told[receipt.where]
        receipt.unblock()

    async def _succeeds(self, piece: Piece) -> bool:
        try:
            await piece.again()
        except Exception as error:  # noqa: BLE001  the fence: whatever it is, it stays in this partition
            self.note(error, piece.step)
            piece.error = error
            return False
        return True

    def _step_over(self, piece: Piece) -> None:
        receipt = piece.receipt
        self._say(
            self._journal.warning,
            "partition.skipped",
            piece,
            detail=f"given up at step {piece.step}: {described(piece.error)}",
        )
        if receipt.live:
            piece.give_up()

    def _tell(self, piece: Piece) -> None:
        """Log that a partition stands still, by the first of what stands still there."""
        where, record = piece.receipt.where, piece.receipt.record
        if self._told[where][0] is not piece:
            return
        self._say(
            self._journal.error,
            "partition.stopped",
            piece,
            detail=f"step {piece.step} failed: {described(piece.error)} ({line_of(piece.error)})",
            remedy="a defect of hookstream stops this partition; the step is taken again by itself,"
            " so a release without the defect goes on."
            f" To give the record up: hookstream partition skip {where.topic}/{where.partition}"
            f" {record.offset}",
        )

    def _say(
        self, log: Callable[..., None], event: str, piece: Piece, **fields: str | float | None
    ) -> None:
        where = piece.receipt.where
        log(
            event,
            topic=where.topic,
            partition=where.partition,
            offset=piece.receipt.record.offset,
            delivery_id=piece.delivery_id,
            **fields,
        )
