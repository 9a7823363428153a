"""Writes the tables, one writer at a time: a newer one fences an older, then reads, then writes.

The order matters. Once the fixed transactional id is taken over, no older writer can commit, so
what is read after that is what every write builds on, and a revision that was checked stays true.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

from confluent_kafka import (
    TIMESTAMP_LOG_APPEND_TIME,
    KafkaError,
    KafkaException,
    Message,
    Producer,
)

from hookstream.adapters.kafka.client import (
    ClientSettings,
    close_within,
    init_transactions,
    is_fenced,
    is_too_large,
    kafka_error,
    opened,
    transactional_properties,
    translated,
)
from hookstream.adapters.kafka.record import client_headers
from hookstream.adapters.kafka.tables.log import (
    CLOSE_SECONDS,
    TableRecord,
    apply_records,
    read_tables,
)
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import OutgoingRecord
from hookstream.errors import (
    ConfigurationError,
    HookstreamError,
    InputRefused,
    InvariantBroken,
    ProducerFenced,
)

_TRANSACTION_MILLIS = 5_000
"""How long a dead writer's open transaction hides what stands behind it."""
PROBE_KEY = "writer"
"""The key of the records that ask for the broker's time; they never have a value."""


class TableChange(NamedTuple):
    """One row as it is to be; None removes the key."""

    topic: str
    key: str
    value: bytes | None


class TableWriter:
    """The one writer of the tables, from `open` (or `with`) until `close`. Blocks; for one thread.

    Args:
        client: librdkafka's settings.
        transactional_id: The same for every writer of these tables: it is what fences.
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
        self._topics = tuple(topics)
        self._probe_topic = probe_topic
        self._timeout = timeout
        self._tables: dict[str, dict[str, TableRecord]] = {}
        self._delivered: list[Message] = []
        self._refused: list[KafkaError] = []
        self._broken = False
        properties = transactional_properties(client, transactional_id, _TRANSACTION_MILLIS)
        self._producer = opened(Producer, properties | {"linger.ms": 0}, client)

    def __enter__(self) -> Self:
        """Open it."""
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def open(self) -> None:
        """Fence every older writer, then read the tables to their ends.

        Raises:
            ConfigurationError: A topic is missing or has more than one partition.
            DependencyUnavailable: The broker did not answer in time.
        """
        try:
            init_transactions(self._producer, self._timeout)
        except KafkaException as error:
            raise _writer_error(error) from error
        self._tables = read_tables(self._client, self._topics, timeout=self._timeout)

    def close(self) -> None:
        """Let go of the producer; what was written is committed already."""
        # A producer whose transaction cannot be ended warns when it is closed; it is only dropped.
        if not self._broken:
            close_within(CLOSE_SECONDS, self._producer.close)

    @property
    def snapshot(self) -> Mapping[str, Mapping[str, TableRecord]]:
        """The live rows by topic and key, as of `open` and with every write since."""
        return self._tables

    def write(self, changes: Sequence[TableChange], also: Sequence[OutgoingRecord] = ()) -> None:
        """Write rows, and records of other topics with them, all of them or none.

        Raises:
            ProducerFenced: Another writer took over; nothing was written.
            InputRefused: The broker refused a record for good; nothing was written.
            DependencyUnavailable: The broker did not answer; whether it was written is not known
                unless the tables are read again.
        """
        self._transact(
            [OutgoingRecord(c.topic, c.key.encode(), c.value) for c in changes] + list(also)
        )
        apply_records(
            self._tables,
            [_row(message) for message in self._delivered if message.topic() in self._tables],
        )

    def broker_now(self) -> Millis:
        """Return the broker's wall clock, as it stamps a record without a value under `writer`.

        Raises:
            ProducerFenced: Another writer took over.
            ConfigurationError: The table keeps `CreateTime`.
            DependencyUnavailable: The broker did not answer.
        """
        self._transact([OutgoingRecord(self._probe_topic, PROBE_KEY.encode(), None)])
        kind, stamp = self._delivered[0].timestamp()
        if kind != TIMESTAMP_LOG_APPEND_TIME:
            raise ConfigurationError(
                f"{self._probe_topic} is not stamped by the broker"
                " (message.timestamp.type=LogAppendTime): run hookstream topics apply"
            )
        return stamp

    def _transact(self, records: Sequence[OutgoingRecord]) -> None:
        if self._broken:
            raise InvariantBroken("the table writer cannot be used after an error: open a new one")
        self._delivered, self._refused = [], []
        try:
            self._producer.begin_transaction()
            for record in records:
                self._producer.produce(
                    record.topic,
                    key=record.key,
                    value=record.value,
                    headers=client_headers(record.headers),
                    on_delivery=self._on_delivery,
                )
            # Flushes first, and raises where a single record was refused.
            self._producer.commit_transaction(self._timeout)
        except KafkaException as error:
            self._give_up()
            raise _writer_error(error, self._refused) from error

    def _give_up(self) -> None:
        """Abort what can be aborted: after a refusal the writer goes on, after all else it ends."""
        try:
            self._producer.abort_transaction(self._timeout)
        except KafkaException:
            # Fenced, or the broker is away: it aborts by itself after the transaction timeout.
            self._broken = True

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self._delivered.append(message)
        else:
            self._refused.append(error)


def _writer_error(raised: KafkaException, refused: Sequence[KafkaError] = ()) -> HookstreamError:
    errors = [kafka_error(raised), *refused]
    if is_fenced(errors):
        return ProducerFenced(
            "another writer took over the tables while this one was at work: nothing of this"
            " change was written. Look at what it wrote, then try again"
        )
    if any(is_too_large(error) for error in errors):
        return InputRefused("a row is larger than its topic takes: nothing was written")
    return translated(raised, "the tables cannot be written")


def _row(message: Message) -> TableRecord:
    return TableRecord(
        message.topic() or "",
        (message.key() or b"").decode(),
        message.value(),
        message.offset() or 0,
        message.timestamp()[1],
    )
