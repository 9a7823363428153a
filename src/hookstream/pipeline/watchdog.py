"""Reports a worker that is stuck: one of its records makes no progress.

It checks the oldest unsettled record of each partition. While there is work, that record changes: attempts end,
at the latest by their timeout, and deliveries that cannot be attempted soon go to a tier. Deliberate waits are
left out: records in the waiting room, partitions that stopped for an operator or because of a refused write, and
all records while the tables are not current (the broker is unavailable then, and a restart would not help).
"""

from collections.abc import Callable, Iterable

from hookstream.core.model.instant import Millis
from hookstream.core.model.record import TopicPartition
from hookstream.core.offsets.stalls import Stalled, Stalls
from hookstream.core.retry.waiting import WaitingRoom
from hookstream.pipeline.partitions import Partitions
from hookstream.pipeline.ports import Clock, Logger, Tables
from hookstream.pipeline.retrier import WaitingRecord

Stacks = Callable[[], Iterable[tuple[str, str]]]
"""The stack of every thread and task, by name."""


class Watchdog:
    """Checks one worker's partitions for progress."""

    def __init__(
        self,
        owned: tuple[Partitions, Partitions],
        room: WaitingRoom[WaitingRecord],
        tables: Tables,
        clock: Clock,
        logger: Logger,
        stacks: Stacks,
        *,
        bound: Millis,
    ) -> None:
        """Treat a record as stuck that is unsettled for longer than `bound` milliseconds."""
        self.seconds = 0.0
        """For how long the oldest unsettled record of a partition has been the oldest; the longest of all."""
        self._owned = owned
        self._room = room
        self._tables = tables
        self._clock = clock
        self._logger = logger
        self._stacks = stacks
        self._bound = bound / 1000
        self._stalls = Stalls()
        self._logged = False

    @property
    def stuck(self) -> bool:
        """Whether a record makes no progress."""
        return self.seconds > self._bound

    def look(self) -> None:
        """Check once; log a stuck record with every stack, once until it moves again."""
        stalled = self._stalls.look(self._in_hand(), self._clock.monotonic())
        self.seconds = 0.0 if stalled is None else stalled.seconds
        if self.stuck and stalled is not None and not self._logged:
            self._log_stuck(stalled)
        self._logged = self.stuck

    def _in_hand(self) -> dict[TopicPartition, tuple[int, int]]:
        if not self._tables.current():
            return {}
        return {
            where: place
            for owned in self._owned
            for where, place in owned.oldest_in_hand().items()
            if not self._room.has(where, place[1])
        }

    def _log_stuck(self, stalled: Stalled) -> None:
        where = stalled.where
        self._logger.error(
            "worker.stuck",
            **where._asdict(),
            place=str(stalled.at),
            seconds=round(stalled.seconds),
        )
        for name, stack in self._stacks():
            self._logger.warning("worker.stack", of=name, detail=stack)
