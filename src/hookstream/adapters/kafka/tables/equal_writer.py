"""Writes the tables concurrently with other processes, each of which may take over at any time.

A process is the writer from taking over the transactional id until another one does. Meanwhile no other
can commit, so it keeps its clients and need neither take over again nor read from the beginning. It learns
of another writer when a transaction fails, which has then written nothing.
"""

from collections.abc import Mapping, Sequence

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME

from hookstream.adapters.kafka.client import ClientSettings
from hookstream.adapters.kafka.tables.log import TableCopy, TableRecord
from hookstream.adapters.kafka.tables.writer import (
    PROBE_KEY,
    TableChange,
    TableTransactions,
    not_stamped,
)
from hookstream.adapters.kafka.transactions import AppendedLate
from hookstream.adapters.system import SystemClock, new_id
from hookstream.core.model.freshness import Moment, age
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import OutgoingRecord, Record
from hookstream.errors import (
    DependencyUnavailable,
    HookstreamError,
    InputRefused,
    ProducerFenced,
)

TRANSACTION_HEADER = "hs-transaction"
"""The header of each row that names the transaction that wrote it; no reader of rows needs it.

If the brokers did not confirm whether a transaction was committed, the log shows it by this header.
"""
_STAMP_SECONDS = 10.0
"""How long the brokers' time is continued by this machine's clock before it is requested again."""


class NothingWritten(DependencyUnavailable):
    """Raised when the brokers failed in the middle of a transaction, and nothing of it was written."""


class EqualWriter:
    """One of the writers of the tables. Blocks; for one thread at a time.

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
        self._client = client
        self._transactional_id = transactional_id
        self._probe_topic = probe_topic
        self._timeout = timeout
        self._copy = TableCopy(client, topics, timeout=timeout)
        self._writer: TableTransactions | None = None
        self._is_in_doubt = False
        """Whether it is unknown if the last transaction, which failed, was committed."""
        self._clock = SystemClock()
        self._stamp: tuple[Millis, Moment] | None = None
        """The brokers' time, and when it was learnt by this machine's clocks."""

    @property
    def snapshot(self) -> Mapping[str, Mapping[str, TableRecord]]:
        """The live rows by topic and key, as of `begin`."""
        return self._copy.tables

    def close(self) -> None:
        """Close all clients. `begin` opens them again."""
        self._drop_writer()
        self._copy.close()

    def read_ahead(self) -> bool:
        """Read the tables without taking over, if nothing was read yet; return whether that was so.

        This is the longest step, and others may write meanwhile. Records hidden by an open transaction are
        left to `begin`, which ends that transaction.

        Raises:
            ConfigurationError: A topic is missing or has more than one partition.
            DependencyUnavailable: The broker did not answer in time.
        """
        if not self._copy.is_empty:
            return False
        self._copy.read_on(past_open=False)
        return True

    def begin(self) -> None:
        """Become the writer, with the tables read to their ends.

        Raises:
            ConfigurationError: A topic is missing or has more than one partition.
            DependencyUnavailable: The broker did not answer in time.
        """
        self._begin()

    def _begin(self) -> list[Record]:
        """Become the writer, and return the records that were read after this process took over, or since."""
        self.read_ahead()
        if self._writer is None:
            writer = TableTransactions(self._client, self._transactional_id, timeout=self._timeout)
            writer.__enter__()
            self._writer = writer
        return self._copy.read_on()

    def broker_now(self) -> Millis:
        """Return the brokers' time: their last timestamp plus the time that passed since on this machine.

        It is never ahead of theirs, and behind by at most the time that an answer takes.

        Raises:
            ProducerFenced: Another writer took over.
            ConfigurationError: The table keeps `CreateTime`.
            NothingWritten: The brokers failed; nothing was written.
        """
        if self._stamp is None or age(self._stamp[1], self._clock.moment()) > _STAMP_SECONDS:
            try:
                self._transact([OutgoingRecord(self._probe_topic, PROBE_KEY.encode(), None)])
            except DependencyUnavailable as why:
                raise NothingWritten(f"{why}: nothing was written") from why
        if self._stamp is None:
            raise not_stamped(self._probe_topic)
        stamp, at = self._stamp
        return stamp + int((self._clock.boot() - at.boot) * 1_000)

    def write(
        self,
        changes: Sequence[TableChange],
        also: Sequence[OutgoingRecord] = (),
        *,
        append_by: Millis | None = None,
    ) -> None:
        """Write rows, and records of other topics with them, all or none.

        If the brokers do not confirm the transaction's end, another producer takes over, and the log is
        read, which shows it.

        Args:
            changes: The rows.
            also: The other records.
            append_by: The latest append time that is allowed; None: any.

        Raises:
            ProducerFenced: Another writer took over; nothing was written.
            AppendedLate: The brokers appended them later than that; nothing was written.
            NothingWritten: The brokers failed; nothing was written.
            InputRefused: The broker refused a record for good; nothing was written.
            DependencyUnavailable: The brokers failed, and it is unknown whether the rows were written.
        """
        transaction = new_id().encode()
        headers = ((TRANSACTION_HEADER, transaction),)
        rows = [OutgoingRecord(c.topic, c.key.encode(), c.value, headers) for c in changes]
        try:
            self._transact([*rows, *also], append_by)
        except AppendedLate:
            raise
        except (ProducerFenced, DependencyUnavailable) as why:
            if self._is_in_doubt and self._was_written(transaction, why):
                return
            if isinstance(why, ProducerFenced):
                raise
            raise NothingWritten(f"{why}: nothing was written") from why

    def _was_written(self, transaction: bytes, why: HookstreamError) -> bool:
        """Return whether a transaction with an unknown end was committed.

        Taking over the transactional id ends the transaction, one way or the other.
        """
        try:
            read = self._begin()
        except HookstreamError as also:
            raise DependencyUnavailable(
                f"{why}; whether the change was written is not known ({also}): look before you"
                " repeat it"
            ) from also
        return any((TRANSACTION_HEADER, transaction) in record.headers for record in read)

    def _transact(
        self, records: Sequence[OutgoingRecord], append_by: Millis | None = None
    ) -> None:
        if self._writer is None:
            raise ProducerFenced(TableTransactions.fenced)
        try:
            too_large = self._writer.transact(records, append_by=append_by)
        except HookstreamError as why:
            if isinstance(why, AppendedLate):
                # What was known of the brokers' time may be behind it by what that transaction took.
                self._stamp = None
                if self._writer.is_usable:
                    raise
            self._is_in_doubt = self._writer.is_unknown
            self._drop_writer()
            raise
        if too_large:
            raise InputRefused("a row is larger than its topic takes: nothing was written")
        at = self._clock.moment()
        stamps = [
            stamp
            for kind, stamp in (each.timestamp() for each in self._writer.appended)
            if kind == TIMESTAMP_LOG_APPEND_TIME
        ]
        if stamps:
            self._stamp = min(stamps), at

    def _drop_writer(self) -> None:
        """Stop using this producer; the next `begin` takes over again."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.__exit__()
