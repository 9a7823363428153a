"""Reads one row of a table repeatedly: the whole table once, then only appended records."""

import threading

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from hookstream.adapters.kafka.client import ClientSettings, bounded
from hookstream.adapters.kafka.lookups import LOOKUPS, LogPosition
from hookstream.adapters.kafka.scan import LogReader
from hookstream.adapters.kafka.tables.log import (
    TABLES_GROUP,
    TableRecord,
    require_topics,
    table_error,
    table_offsets,
    table_record,
)
from hookstream.core.model.record import TopicPartition


class TableTail:
    """The newest row of one key. Each call blocks; threads may share it.

    Args:
        client: librdkafka's settings.
        table: A compacted topic of one partition.
        key: The row's key.
        timeout: Seconds to wait at most while nothing comes.
    """

    def __init__(
        self, client: ClientSettings, table: str, key: str, *, timeout: float = 30.0
    ) -> None:
        self.read = 0
        """The number of records read over all calls."""
        self._client = client
        self._at = TopicPartition(table, 0)
        self._key = key
        self._timeout = timeout
        self._next: int | None = None
        """The next offset; None: begin at the table's beginning."""
        self._row: TableRecord | None = None
        self._one = threading.Lock()

    def newest(self) -> TableRecord | None:
        """Return the row as it is now, once every open transaction has ended; None: there is none.

        Raises:
            ConfigurationError: The topic does not exist, or may not be read.
            DependencyUnavailable: The table's end was not reached in time.
            InvariantBroken: The table was created again, or truncated; the next call reads it from its start.
        """
        with self._one:
            admin = LOOKUPS.client(self._client)
            if self._next is None:
                require_topics(admin, [self._at.topic], self._timeout)
            end = self._offset(admin, "latest")
            if self._next is None or self._next > end:
                # Above the end: it was created again.
                self._next, self._row = self._offset(admin, "earliest"), None
            if self._next < end:
                self._read_to(end)
            return self._row

    def _offset(self, admin: AdminClient, where: LogPosition) -> int:
        return table_offsets(admin, [self._at.topic], where, self._timeout)[self._at]

    def _read_to(self, end: int) -> None:
        start, self._next = self._next or 0, None
        try:
            with LogReader(bounded(self._client), {self._at: start}, group=TABLES_GROUP) as log:
                for records in log.batches({self._at: end}, self._timeout):
                    for record in map(table_record, records):
                        self.read += 1
                        if record.key == self._key:
                            self._row = None if record.value is None else record
        except KafkaException as error:
            raise table_error(error) from error
        # Not the reader's position: records after the end were not returned.
        self._next = end
