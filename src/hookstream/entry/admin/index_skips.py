"""Ends, in the index's statistics, the runs whose record an operator skipped: no record says it of them.

A skip is a request (`entry.admin.partitions`), and is needed only while its record stops a partition. So it
is the weakest of endings: whatever is written of a run afterwards counts instead.
"""

from typing import Final

from hookstream.adapters.index.lives import Life
from hookstream.adapters.index.packing import packed_delivery
from hookstream.adapters.index.writer import IndexWriter
from hookstream.adapters.kafka.client import ClientSettings
from hookstream.adapters.kafka.scan import LogScan
from hookstream.adapters.tables.holds_and_skips import SKIP_PREFIX, read_skip
from hookstream.adapters.tables.row_json import EnvelopeUnreadable
from hookstream.core.model.instant import DAY, SECOND, Millis
from hookstream.core.model.record import Record, TopicPartition
from hookstream.core.model.topics import Topics
from hookstream.core.statistics.life import is_test, key_of_waiting, state_of_skipped
from hookstream.entry.admin.index_reading import waiting_of
from hookstream.errors import ConfigurationError

_OLDEST: Final = 8 * DAY
"""No older attempts are kept."""
_MOST: Final = 10_000
_AFTER: Final = 5 * SECOND
"""So long after its request a worker has skipped the record, if it stopped its partition."""


class SkippedRuns:
    """Takes operators' skips, and counts what they ended once everything before them is read.

    Args:
        client: librdkafka's settings.
        topics: The names of topics.
        writer: The index's writer.
    """

    def __init__(self, client: ClientSettings, topics: Topics, writer: IndexWriter) -> None:
        self._client = client
        self._topics = topics
        self._writer = writer
        self._asked: dict[tuple[TopicPartition, int], Millis] = {}

    def take(self, record: Record) -> None:
        """Take a row of the subscriptions table: other rows than skips are left out."""
        key = (record.key or b"").decode(errors="replace")
        if not key.startswith(SKIP_PREFIX) or record.value is None:
            return
        try:
            row = read_skip(key, record.value)
        except EnvelopeUnreadable:
            return  # Workers log it, and skip nothing.
        place = TopicPartition(row.topic, row.partition), row.offset
        self._asked.pop(place, None)
        if len(self._asked) >= _MOST:
            self._asked.pop(next(iter(self._asked)))
        self._asked[place] = row.asked_at

    def due(self, read_to: Millis) -> list[tuple[TopicPartition, int]]:
        """Return the records of which all is read that was written before they were skipped."""
        return [place for place, at in self._asked.items() if at + _AFTER <= read_to]

    def apply(self, read_to: Millis) -> None:
        """Count the runs of those records as skipped.

        It may be done again after a crash, which changes nothing.

        Raises:
            ReadAgain: A file was damaged.
            DependencyUnavailable: The brokers do not answer.
        """
        for place in self.due(read_to):
            asked_at = self._asked[place]
            if asked_at >= read_to - _OLDEST:
                self._writer.join(self._runs_of(*place, asked_at))
            del self._asked[place]

    def _runs_of(self, at: TopicPartition, offset: int, asked_at: Millis) -> list[Life]:
        try:
            record = LogScan(self._client, at.topic).at(at.partition, offset)
        except ConfigurationError:
            return []  # The topic is gone, and the record with it.
        if record is None or record.timestamp > asked_at:
            return []  # Retention took it, or another one has its place: the topic was made again.
        if self._topics.delay_of(at.topic) is None:
            return self._writer.ended_by_skip_of(record.origin)
        pending = waiting_of(record).pending
        if pending is None:
            return []
        delivery = pending.delivery
        return [
            Life(
                key_of_waiting(delivery),
                delivery.partner_id,
                packed_delivery(delivery.delivery_id),
                state_of_skipped(delivery),
                is_test(delivery.trigger.value),
            )
        ]
