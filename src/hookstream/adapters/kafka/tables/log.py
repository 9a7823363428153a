"""Reads compacted topics of one partition each: once to their ends, or from an offset on."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from hookstream.adapters.kafka.client import (
    OFFSETS_GONE,
    ClientSettings,
    bounded,
    kafka_error,
    translated,
)
from hookstream.adapters.kafka.lookups import LOOKUPS, LogPosition, ask_offsets, translating
from hookstream.adapters.kafka.scan import LogReader
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import Record, TopicPartition
from hookstream.errors import (
    ConfigurationError,
    DependencyUnavailable,
    HookstreamError,
    InvariantBroken,
)

TABLES_GROUP = "hookstream-tables"
"""The group name that brokers check when tables are read."""
_APPEAR_SECONDS = 2.0
_PAUSE_SECONDS = 0.1

Offsets: TypeAlias = dict[TopicPartition, int]
"""By table, which has one partition: the offset of the next record."""


@dataclass(slots=True, frozen=True)
class TableRecord:
    """One record of a table: the newest of its key counts, and None as value removes the key."""

    table: str
    key: str
    value: bytes | None
    offset: int
    timestamp: Millis
    """When the broker appended it."""


def read_tables(
    client: ClientSettings, topics: Sequence[str], *, timeout: float = 30.0
) -> dict[str, dict[str, TableRecord]]:
    """Read tables once, to their present high watermarks, and return their live rows.

    Blocks. If a dead writer left a transaction open, this waits until the broker ends it.

    Args:
        client: librdkafka's settings.
        topics: Compacted topics of one partition each.
        timeout: Seconds to wait at most while nothing comes.

    Returns:
        By topic, then by key: the newest record; keys that were removed are absent.

    Raises:
        ConfigurationError: A topic does not exist, or may not be read.
        DependencyUnavailable: The ends were not reached in time.
    """
    admin = LOOKUPS.client(client)
    require_topics(admin, topics, timeout)
    starts = table_offsets(admin, topics, "earliest", timeout)
    ends = table_offsets(admin, topics, "latest", timeout)
    tables: dict[str, dict[str, TableRecord]] = {topic: {} for topic in topics}
    try:
        with LogReader(bounded(client), starts, group=TABLES_GROUP) as log:
            for records in log.batches(ends, timeout):
                apply_records(tables, map(table_record, records))
    except KafkaException as error:
        raise table_error(error) from error
    return tables


class TableCopy:
    """Tables in memory that are read on to their ends on request. Blocks; for one thread.

    Its client stays open between readings, so that one takes a request and the new records only. Between
    them nothing is requested: a reader that finds ends quickly would send a hundred requests a second.

    Args:
        client: librdkafka's settings.
        topics: Compacted topics of one partition each.
        timeout: Seconds to wait at most for each answer, and while nothing comes.
    """

    def __init__(
        self, client: ClientSettings, topics: Sequence[str], *, timeout: float = 30.0
    ) -> None:
        self._client = client
        self._topics = tuple(topics)
        self._timeout = timeout
        self._log: LogReader | None = None
        self.tables: dict[str, dict[str, TableRecord]] = {topic: {} for topic in self._topics}
        """The live rows by topic and key, as of the last reading."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was read yet."""
        return self._log is None

    def close(self) -> None:
        """Close the client and forget the rows. It can be read again, from the beginning."""
        log, self._log = self._log, None
        self.tables = {topic: {} for topic in self._topics}
        if log is not None:
            log.__exit__()

    def read_on(self, *, past_open: bool = True) -> list[Record]:
        """Read everything that the tables have at this call, and return what was read now.

        Args:
            past_open: Whether to wait for the end of open transactions; otherwise the records that they
                hide are left to the next reading.

        Raises:
            ConfigurationError: A topic does not exist, or may not be read.
            DependencyUnavailable: The ends were not reached in time.
            InvariantBroken: A table was created again, or truncated.
        """
        try:
            log = self._opened()
            try:
                ends = table_offsets(
                    LOOKUPS.client(self._client), self._topics, "latest", self._timeout
                )
                return self._read_to(log, ends, past_open=past_open)
            finally:
                log.stop_fetching()
        except KafkaException as error:
            raise table_error(error) from error

    def _read_to(self, log: LogReader, ends: Offsets, *, past_open: bool) -> list[Record]:
        """Read at least to the ends, and keep the records behind them, since they are not returned again."""
        found: list[Record] = []
        waited = 0.0
        # A log that ends below the next offset may be another one: the answer to a fetch shows it.
        behind = {at: log.next[at] for at, end in ends.items() if log.next[at] > end}
        while unread := [
            at.topic
            for at, end in ends.items()
            if log.next[at] < end or (log.next[at] == behind.get(at) and at not in log.at_end)
        ]:
            if not past_open and all(
                at in log.at_end or log.next[at] >= end for at, end in ends.items()
            ):
                break
            asked_at = time.monotonic()
            records = log.poll()
            if records is not None:
                waited = 0.0
                found += records
                apply_records(self.tables, map(table_record, records))
                continue
            waited += time.monotonic() - asked_at
            if waited >= self._timeout:
                raise DependencyUnavailable(
                    f"{', '.join(unread)} was not read to its end: nothing came for"
                    f" {self._timeout:g} s"
                )
        return found

    def _opened(self) -> LogReader:
        if self._log is None:
            admin = LOOKUPS.client(self._client)
            require_topics(admin, self._topics, self._timeout)
            starts = table_offsets(admin, self._topics, "earliest", self._timeout)
            self._log = LogReader(bounded(self._client), starts, group=TABLES_GROUP)
        else:
            self._log.resume_fetching()
        return self._log


def apply_records(
    tables: Mapping[str, dict[str, TableRecord]], records: Iterable[TableRecord]
) -> None:
    """Apply records to tables: the newest of a key counts, None removes it."""
    for record in records:
        if record.value is None:
            tables[record.table].pop(record.key, None)
        else:
            tables[record.table][record.key] = record


def require_topics(admin: AdminClient, topics: Sequence[str], timeout: float) -> None:
    """Check that topics exist and have one partition.

    Raises:
        ConfigurationError: One does not exist, or has more than one partition.
        DependencyUnavailable: The broker did not answer in time (seconds).
    """
    until = time.monotonic() + _APPEAR_SECONDS
    while True:
        with translating("the cluster's topics cannot be listed", timeout):
            found = admin.list_topics(timeout=timeout).topics
        missing = [topic for topic in topics if topic not in found]
        if not missing or time.monotonic() >= until:
            break
        # Not every broker knows a topic that has just been created.
        time.sleep(_PAUSE_SECONDS)
    if missing:
        raise ConfigurationError(
            f"topics are missing: {', '.join(missing)}. Create them: hookstream topics apply"
        )
    for topic in topics:
        if len(found[topic].partitions) != 1:
            raise ConfigurationError(
                f"{topic} has {len(found[topic].partitions)} partitions; a table has one, or the"
                " order of its rows is lost. Create it again with one partition"
            )


def table_offsets(
    admin: AdminClient, topics: Sequence[str], where: LogPosition, timeout: float
) -> Offsets:
    """Return the offset of a position in each table; the end is the high watermark.

    Raises:
        DependencyUnavailable: The broker did not answer in time (seconds).
    """
    places = [(topic, 0) for topic in topics]
    with translating("the tables' offsets cannot be read", timeout):
        return ask_offsets(admin, places, where, timeout, "the tables' offsets")


def table_error(raised: KafkaException) -> HookstreamError:
    """Return our error for one that ended the reading of the tables."""
    error = kafka_error(raised)
    if error.code() in OFFSETS_GONE:
        return InvariantBroken(
            f"a table was created again or truncated while it was read: {error}"
        )
    return translated(raised, "the tables cannot be read")


def table_record(record: Record) -> TableRecord:
    """Return a record of a table with its key as text."""
    key = (record.key or b"").decode("utf-8", "backslashreplace")
    return TableRecord(record.topic, key, record.value, record.offset, record.timestamp)
