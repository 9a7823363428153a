"""Detects a partition that has records to read but returns none.

All other causes that stop a partition are reported by the client or known here. This detects the rest: a
fetch whose answer the client cannot parse and silently repeats, or a bug, in the client or here.
"""

from collections.abc import Mapping

from hookstream.core.model.record import TopicPartition
from hookstream.pipeline.ports import Clock, Logger

_STALLED_SECONDS = 30.0


class StallDetector:
    """The time since which each partition with records has returned none. For one thread."""

    def __init__(self, logger: Logger, clock: Clock) -> None:
        self.stalled: dict[TopicPartition, int] = {}
        """The partitions that were reported, and the next offset of each. Other threads may read its
        length."""
        self._logger = logger
        self._clock = clock
        self._since: dict[TopicPartition, tuple[int, float]] = {}

    def look(
        self,
        places: Mapping[TopicPartition, tuple[int, int]],
        behind: Mapping[TopicPartition, int],
    ) -> list[TopicPartition]:
        """Log the partitions that have been stalled for too long, and return each once.

        Args:
            places: The next offset and the log's end of each partition that has records and could
                have returned them since the last check. For all others the count starts again.
            behind: The next offset of each partition in `stalled` that is read, and as far as is
                known not to its end. It stays stalled until that offset has increased.
        """
        now = self._clock.monotonic()
        before = self._since
        self._since = {
            at: known
            if (known := before.get(at)) and known[0] == next_offset
            else (next_offset, now)
            for at, (next_offset, _) in places.items()
        }
        still = {
            at: next_ for at, next_ in self.stalled.items() if behind.get(at, next_ + 1) <= next_
        }
        for at in self.stalled.keys() - still:
            self._logger.info("partition.unread_over", **at._asdict())
        stalled = {at for at, (_, since) in self._since.items() if now - since > _STALLED_SECONDS}
        new = sorted(stalled - still.keys())
        for at in new:
            self._logger.warning(
                "partition.unread", **at._asdict(), next=places[at][0], end=places[at][1]
            )
        self.stalled = still | {at: places[at][0] for at in new}
        return new

    def not_checked(self) -> None:
        """The last check failed. The time until the next one does not count."""
        self._since = {}
