"""Writes the tables, one writer at a time: a newer one fences an older one, then reads, then writes.

The order matters. After the fixed transactional id was taken over, no older writer can commit. So the rows
read after that stay current, and so does a revision that was checked against them.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple, Self

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME

from hookstream.adapters.kafka.client import ClientSettings
from hookstream.adapters.kafka.record import record_of
from hookstream.adapters.kafka.tables.log import (
    TableRecord,
    apply_records,
    read_tables,
    table_record,
)
from hookstream.adapters.kafka.transactions import TransactionalWriter
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import OutgoingRecord
from hookstream.errors import ConfigurationError, InputRefused

PROBE_KEY = "writer"
"""The key of the records that request the broker's time; they never have a value."""


class TableChange(NamedTuple):
    """The new value of one row; None removes the key."""

    topic: str
    key: str
    value: bytes | None


class TableTransactions(TransactionalWriter):
    """Transactions of the tables' writer, the same for every process that takes its transactional id over."""

    transaction_millis = 5_000
    properties: ClassVar[Mapping[str, int]] = {"linger.ms": 0}
    fenced = (
        "another writer took over the tables meanwhile: nothing of this change was written. Check what"
        " it wrote, then try again"
    )
    failed = "the tables cannot be written"


class TableWriter(TableTransactions):
    """The only writer of the tables, within `with`. Blocks; for one thread.

    Args:
        client: librdkafka's settings.
        transactional_id: The same for every writer of these tables: it fences.
        topics: The tables, one partition each, stamped by the broker.
        probe_topic: The table into which `broker_now` writes its empty records.
        timeout: Seconds to wait at most for each answer of the broker.
    """

    def __init__(
        self,
        client: ClientSettings,
        transactional_id: str,
        topics: Sequence[str],
        probe_topic: str,
        *,
        timeout: float = 30.0,
    ) -> None:
        super().__init__(client, transactional_id, timeout=timeout)
        self._client = client
        self._topics = tuple(topics)
        self._probe_topic = probe_topic
        self.snapshot: dict[str, dict[str, TableRecord]] = {}
        """The live rows by topic and key, as of the beginning and with every write since."""

    def __enter__(self) -> Self:
        """Fence every older writer, then read the tables to their ends.

        Raises:
            ConfigurationError: A topic is missing or has more than one partition.
            DependencyUnavailable: The broker did not answer in time.
        """
        super().__enter__()
        self.snapshot = read_tables(self._client, self._topics, timeout=self._timeout)
        return self

    def write(self, changes: Sequence[TableChange], also: Sequence[OutgoingRecord] = ()) -> None:
        """Write rows, and records of other topics with them, all or none.

        Raises:
            ProducerFenced: Another writer took over; nothing was written.
            InputRefused: The broker refused a record for good; nothing was written.
            DependencyUnavailable: The broker did not answer; whether it was written is not known
                unless the tables are read again.
        """
        rows = [OutgoingRecord(c.topic, c.key.encode(), c.value) for c in changes]
        if self.transact([*rows, *also]):
            raise InputRefused("a row is larger than its topic takes: nothing was written")
        written = (record_of(each) for each in self.appended if each.topic() in self.snapshot)
        apply_records(self.snapshot, map(table_record, written))

    def broker_now(self) -> Millis:
        """Return the broker's wall clock: its timestamp of a record without a value under the key `writer`.

        Raises:
            ProducerFenced: Another writer took over.
            ConfigurationError: The table keeps `CreateTime`.
            DependencyUnavailable: The broker did not answer.
        """
        self.transact([OutgoingRecord(self._probe_topic, PROBE_KEY.encode(), None)])
        kind, stamp = self.appended[0].timestamp()
        if kind != TIMESTAMP_LOG_APPEND_TIME:
            raise not_stamped(self._probe_topic)
        return stamp


def not_stamped(topic: str) -> ConfigurationError:
    """Return the error of a table whose records have their producers' times."""
    return ConfigurationError(
        f"{topic} does not use broker timestamps (message.timestamp.type=LogAppendTime): run"
        " hookstream topics apply"
    )
