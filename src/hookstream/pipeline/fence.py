"""Confines an exception to one record: it stops at most one partition.

1. The record is to blame only for the exceptions that `BLAMED` lists. Before the match it is undecodable,
   from the match on a dead letter of that delivery alone.
2. Every other exception is a defect of ours. Before the request is sent, the record's partition stops and
   the step is retried with back-off, until it succeeds or an operator skips the record.
   After the request was sent, the attempt counts as failed (`internal_error`).
3. `ENDS` passes the fence and ends the process, because continuing could lose a delivery.
4. A line of code that stops three partitions within a minute ends the process: the release is bad.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from hookstream.core.model.record import TopicPartition
from hookstream.pipeline.defects import Step, StoppedLines, Unexpected, described, line_of
from hookstream.pipeline.ports import Clock, Logger
from hookstream.pipeline.skips import Skips

if TYPE_CHECKING:
    from hookstream.pipeline.partitions import Receipt


FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
"""Seconds between two tries of a step that stopped its partition."""


@dataclass(slots=True)
class Piece:
    """A record, or one delivery of it, whose step failed and is retried."""

    receipt: "Receipt"
    step: Step
    error: Exception
    again: Callable[[], Awaitable[None]]
    """Retries the step."""
    skip: Callable[[], None]
    """Releases the receipt, once an operator has skipped the record."""
    delivery_id: str | None = None


class Fence:
    """Stops partitions for defects, and retries the steps that failed."""

    def __init__(
        self,
        skips: Skips,
        clock: Clock,
        logger: Logger,
        current: Callable[[], Awaitable[None]],
    ) -> None:
        """Retry nothing before `open`.

        Args:
            skips: Records that operators skipped.
            clock: Measures the time between two stops.
            logger: Logs stopped partitions with the remedy.
            current: Waits until records may be matched; no step is retried before.
        """
        self._skips = skips
        self._clock = clock
        self._logger = logger
        self._current = current
        self._unexpected = Unexpected(logger)
        self._lines = StoppedLines()
        self._tasks: asyncio.TaskGroup | None = None
        self._later: list[Callable[[], Coroutine[None, None, None]]] = []
        """Retries of steps that failed before `open`."""
        self._stopped: dict[TopicPartition, list[Piece]] = {}
        """Failed steps by partition; only the first of each is logged."""

    def open(self, tasks: asyncio.TaskGroup) -> None:
        """Retry steps as children of `tasks` from now on."""
        self._tasks = tasks
        while self._later:
            tasks.create_task(self._later.pop()())

    def start(self, retry: Callable[[], Coroutine[None, None, None]]) -> None:
        """Run a retry in a task, from `open` on."""
        if self._tasks is None:
            self._later.append(retry)
        else:
            self._tasks.create_task(retry())

    def note(self, error: Exception, step: Step) -> None:
        """Log an exception that is a defect of ours.

        Raises:
            Exception: `error` itself, if it is one of `ENDS`.
        """
        self._unexpected.note(error, step)

    async def run(
        self,
        receipt: "Receipt",
        step: Step,
        act: Callable[[], Awaitable[None]],
        delivery_id: str | None = None,
    ) -> None:
        """Run a step of a record; if it fails, `stop` the partition, which retries it.

        Raises:
            Exception: What `stop` raises.
        """
        try:
            await act()
        except Exception as error:  # noqa: BLE001  the fence
            skip = receipt.release
            self.stop(receipt, error, step, again=act, skip=skip, delivery_id=delivery_id)

    def stop(
        self,
        receipt: "Receipt",
        error: Exception,
        step: Step,
        *,
        again: Callable[[], Awaitable[None]],
        skip: Callable[[], None],
        delivery_id: str | None = None,
    ) -> None:
        """Stop a record's partition because of a defect of ours, and retry the step with back-off.

        Args:
            receipt: The record's receipt; the caller passes its reference on.
            error: The exception of the step.
            step: The step that failed.
            again: Retries the step; it raises as long as the step fails.
            skip: Releases the reference, once an operator has skipped the record.
            delivery_id: The delivery that failed, if the step concerned one.

        Raises:
            Exception: `error` itself, if it is one of `ENDS`.
            InvariantBroken: The same line of code stopped three partitions within a minute.
        """
        self.note(error, step)
        self._lines.note(error, receipt.where, self._clock.monotonic())
        piece = Piece(receipt, step, error, again, skip, delivery_id)
        receipt.block()
        self._stopped.setdefault(receipt.where, []).append(piece)
        self.start(partial(self._retry, piece))

    def insist(self, act: Callable[[], None], wanted: Callable[[], bool]) -> None:
        """Run a step that belongs to no record; if it fails, retry with back-off while `wanted` returns True.

        Raises:
            Exception: The exception of the step, if it is one of `ENDS`.
        """
        if not self._done(act):
            self.start(partial(self._again, act, wanted))

    def _done(self, act: Callable[[], None]) -> bool:
        try:
            act()
        except Exception as error:  # noqa: BLE001  the fence
            self.note(error, Step.NOTIFY)
            return False
        return True

    async def _again(self, act: Callable[[], None], wanted: Callable[[], bool]) -> None:
        pause = FIRST_PAUSE
        await asyncio.sleep(pause)
        while wanted() and not self._done(act):
            pause = min(2 * pause, LONGEST_PAUSE)
            await asyncio.sleep(pause)

    async def _retry(self, piece: Piece) -> None:
        """Keep a partition stopped until the step succeeds, the record is skipped, or the partition is revoked."""
        receipt, pause = piece.receipt, FIRST_PAUSE
        while receipt.assigned:
            self._log_stopped(piece)
            if await self._skips.requested_within(pause, receipt.record):
                self._skip(piece)
                break
            pause = min(2 * pause, LONGEST_PAUSE)
            await self._current()
            if receipt.may_start and await self._succeeds(piece):
                break
        pieces = self._stopped[receipt.where]
        pieces.remove(piece)
        if not pieces:
            del self._stopped[receipt.where]
        receipt.unblock()

    async def _succeeds(self, piece: Piece) -> bool:
        try:
            await piece.again()
        except Exception as error:  # noqa: BLE001  the fence: it concerns this partition alone
            self.note(error, piece.step)
            piece.error = error
            return False
        return True

    def _skip(self, piece: Piece) -> None:
        receipt = piece.receipt
        self._say(
            self._logger.warning,
            "partition.skipped",
            piece,
            detail=f"skipped at step {piece.step}: {described(piece.error)}",
        )
        if receipt.assigned:
            piece.skip()

    def _log_stopped(self, piece: Piece) -> None:
        """Log that a partition is stopped, once, for the first step that failed in this assignment."""
        where, record = piece.receipt.where, piece.receipt.record
        # Pieces of an earlier assignment may still sleep.
        if next(each for each in self._stopped[where] if each.receipt.assigned) is not piece:
            return
        self._say(
            self._logger.error,
            "partition.stopped",
            piece,
            detail=f"step {piece.step} failed: {described(piece.error)} ({line_of(piece.error)})",
            remedy="a defect in hookstream stops this partition. The step is retried, so a fixed"
            " release resumes it."
            f" To skip the record: hookstream partition skip {where.topic}/{where.partition}"
            f" {record.offset}",
        )

    def _say(
        self, log: Callable[..., None], event: str, piece: Piece, **fields: str | float | None
    ) -> None:
        where = piece.receipt.where
        log(
            event,
            **where._asdict(),
            offset=piece.receipt.record.offset,
            delivery_id=piece.delivery_id,
            **fields,
        )
