"""Reads the records of one span of the past, as far as the log still has them."""

from collections.abc import Mapping

from hookstream.adapters.kafka.client import ClientSettings
from hookstream.adapters.kafka.groups import KafkaGroups
from hookstream.adapters.kafka.lookups import translating
from hookstream.adapters.kafka.scan import LogReader
from hookstream.core.model.record import Record, TopicPartition

_MOST = 2_000
_SECONDS = 0.1
"""How long to wait for a piece: new records are read in between."""
_ANSWER_SECONDS = 30.0


class StretchReading:
    """One reading of partitions, each from an offset to another. Blocks; for one thread.

    Args:
        client: librdkafka's settings.
        starts: The first offset of each partition.
        ends: The offset after the last record of each.
        groups: Looks up offsets where one is gone from the log.
    """

    def __init__(
        self,
        client: ClientSettings,
        starts: Mapping[TopicPartition, int],
        ends: Mapping[TopicPartition, int],
        groups: KafkaGroups,
    ) -> None:
        self._ends = ends
        self._groups = groups
        behind = {at: start for at, start in starts.items() if start < ends[at]}
        self._lost: set[TopicPartition] = set()
        """Partitions of which brokers lost records before they were read; nothing more is read of them."""
        self._reader = LogReader(client, behind, notes_gone=True) if behind else None

    def close(self) -> None:
        """Close the client."""
        if self._reader is not None:
            self._reader.__exit__()

    def piece(self) -> list[Record]:
        """Return the next records; none if none came in time.

        Raises:
            ConfigurationError: The topics may not be read.
            DependencyUnavailable: The brokers do not answer, or a topic is gone.
        """
        reader = self._reader
        if reader is None:
            return []
        with translating("reading hookstream's topics", _ANSWER_SECONDS):
            found = reader.poll(_MOST, _SECONDS) or ()
        if reader.gone:
            self._go_on(reader)
        return [each for each in found if each.offset < self._ends[each.where]]

    def _go_on(self, reader: LogReader) -> None:
        """Read on what retention has left of partitions whose next offset is gone."""
        gone = [*reader.gone]
        lows = self._groups.led_offsets_at(gone, "earliest")
        ends = self._groups.led_offsets_at([*lows], "latest")
        lost = {at for at, end in ends.items() if reader.next[at] > end}
        for at in lost:
            reader.drop(at)
        self._lost |= lost
        # Never back: what is below belongs to another span.
        left = {at: max(lows[at], reader.next[at]) for at in ends if at not in lost}
        if left:
            reader.place(left)

    @property
    def positions(self) -> dict[TopicPartition, int]:
        """The next offset of each partition that had something to read."""
        following = {} if self._reader is None else self._reader.next
        found = {at: min(offset, self._ends[at]) for at, offset in following.items()}
        return found | {at: self._ends[at] for at in self._lost}

    @property
    def is_over(self) -> bool:
        """Whether everything was read."""
        return all(offset >= self._ends[at] for at, offset in self.positions.items())
