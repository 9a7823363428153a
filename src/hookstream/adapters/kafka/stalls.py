"""A partition that has records to read and gives none is noticed, said, and asked for again.

Whatever else stops a partition is told by the client or known here. This is for what is not: a fetch
whose answer the client cannot take apart and asks for again without a word, or a mistake, its or ours.
"""

from collections.abc import Mapping

from hookstream.core.model.record import TopicPartition
from hookstream.pipeline.ports import Clock, Journal

_SILENT_SECONDS = 30.0


class StallDetector:
    """Since when nothing has come of each partition that ought to give records. For one thread."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self.told: dict[TopicPartition, int] = {}
        """The partitions that are silent, as was said, and the next offset of each. Others may ask
        how many there are."""
        self._journal = journal
        self._clock = clock
        self._since: dict[TopicPartition, tuple[int, float]] = {}

    def look(
        self,
        places: Mapping[TopicPartition, tuple[int, int]],
        behind: Mapping[TopicPartition, int],
    ) -> list[TopicPartition]:
        """Return, once each, the partitions that have been silent for too long, and say so.

        Args:
            places: The next offset and the log's end of each partition that has records and could
                have given them since the last look. Any other counts again when it is shown again.
            behind: The next offset of each partition in `told` that is read, and not to its end as
                far as is known. It stays silent until that has grown, whatever else held it up.
        """
        now = self._clock.monotonic()
        before = self._since
        self._since = {
            at: known
            if (known := before.get(at)) and known[0] == next_offset
            else (next_offset, now)
            for at, (next_offset, _) in places.items()
        }
        still = {at: told for at, told in self.told.items() if behind.get(at, told + 1) <= told}
        for at in self.told.keys() - still:
            self._journal.info("partition.unread_over", **at._asdict())
        silent = {at for at, (_, since) in self._since.items() if now - since > _SILENT_SECONDS}
        new = sorted(silent - still.keys())
        for at in new:
            self._journal.warning(
                "partition.unread", **at._asdict(), next=places[at][0], end=places[at][1]
            )
        self.told = still | {at: places[at][0] for at in new}
        return new

    def not_looked(self) -> None:
        """The last look failed; the time until the next one does not count."""
        self._since = {}
