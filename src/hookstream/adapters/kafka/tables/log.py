"""Reads the records of compacted topics, and knows how far it stood and where each topic ends.

How far a reader stood is known from the client's end-of-partition events: their offset counts the
transaction markers at a topic's end, which are never handed out. A topic's end is its high
watermark, not its last stable offset: a transaction that is still open hides behind that.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # OffsetSpec is public
    AdminClient,
    OffsetSpec,
)

from hookstream.adapters.kafka.client import (
    EARLIEST,
    LATEST,
    ClientSettings,
    admin_client,
    ask_offsets,
    bounded,
    close_within,
    consumer_properties,
    opened,
    translated,
)
from hookstream.core.model.instant import Millis
from hookstream.errors import ConfigurationError, DependencyUnavailable, InvariantBroken
from hookstream.pipeline.ports import Journal

CLOSE_SECONDS = 5.0
_BATCH = 500
_POLL_SECONDS = 0.2
_APPEAR_SECONDS = 2.0
_PAUSE_SECONDS = 0.1

Offsets: TypeAlias = dict[str, int]
"""By topic: the offset of the next record."""


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
    """Read tables once, to the high watermarks that they have now, and return their live rows.

    Blocks. A transaction left open by a dead writer is waited for until the broker ends it.

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
    admin = admin_client(client)
    require_topics(admin, topics, timeout)
    starts = log_starts(admin, topics, timeout)
    ends = high_watermarks(admin, topics, timeout)
    tables: dict[str, dict[str, TableRecord]] = {topic: {} for topic in topics}
    stood = dict(starts)
    patience = idle = round(timeout / _POLL_SECONDS)
    consumer = table_consumer(bounded(client), starts, None)
    try:
        while any(stood[topic] < end for topic, end in ends.items()):
            records, moved = poll_tables(consumer)
            stood.update(moved)
            apply_records(tables, records)
            idle = patience if moved else idle - 1
            if idle <= 0:
                raise DependencyUnavailable(
                    f"the tables' ends were not reached: nothing came for {timeout:g} s"
                )
    except KafkaException as error:
        raise translated(error, "the tables cannot be read") from error
    finally:
        close_within(CLOSE_SECONDS, consumer.close)
    return tables


def apply_records(
    tables: Mapping[str, dict[str, TableRecord]], records: Sequence[TableRecord]
) -> None:
    """Let records take effect on tables: the newest of a key counts, None removes it."""
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
        try:
            found = admin.list_topics(timeout=timeout).topics
        except KafkaException as error:
            raise translated(error, "the cluster's topics cannot be listed") from error
        missing = [topic for topic in topics if topic not in found]
        if not missing or time.monotonic() >= until:
            break
        # What was created just now is not known to every broker yet.
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


def high_watermarks(admin: AdminClient, topics: Sequence[str], timeout: float) -> Offsets:
    """Return the offset after the last record of each table, open transactions included.

    Raises:
        DependencyUnavailable: The broker did not answer in time (seconds).
    """
    return _offsets(admin, topics, LATEST, timeout)


def log_starts(admin: AdminClient, topics: Sequence[str], timeout: float) -> Offsets:
    """Return the first offset of each table.

    Raises:
        DependencyUnavailable: The broker did not answer in time (seconds).
    """
    return _offsets(admin, topics, EARLIEST, timeout)


def _offsets(
    admin: AdminClient, topics: Sequence[str], spec: OffsetSpec, timeout: float
) -> Offsets:
    try:
        found = ask_offsets(
            admin, {(topic, 0): spec for topic in topics}, timeout, "the tables' offsets"
        )
    except KafkaException as error:
        raise translated(error, "the tables' offsets cannot be read") from error
    return {topic: offset for (topic, _), offset in found.items()}


def table_consumer(client: ClientSettings, starts: Offsets, journal: Journal | None) -> Consumer:
    """Return a consumer that stands at the given offset of every table. It joins no group.

    Offsets are explicit, since the client takes half a second to find a log's start by itself.
    """
    properties = consumer_properties(client, "hookstream-tables", journal)
    consumer = opened(Consumer, properties | {"enable.partition.eof": True}, client)
    consumer.assign([KafkaPartition(topic, 0, offset) for topic, offset in starts.items()])
    return consumer


def poll_tables(consumer: Consumer) -> tuple[list[TableRecord], Offsets]:
    """Wait up to 0.2 s for something, take what else is ready, and tell how far each table stood.

    Raises:
        InvariantBroken: A table was created again or truncated while it was read.
        KafkaException: An error that will not pass.
    """
    first = consumer.poll(_POLL_SECONDS)
    if first is None:
        return [], {}
    records: list[TableRecord] = []
    stood: Offsets = {}
    for message in (first, *consumer.consume(_BATCH - 1, 0)):
        topic = message.topic() or ""
        error = message.error()
        if error is None:
            record = table_record(message)
            records.append(record)
            stood[topic] = record.offset + 1
        elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
            stood[topic] = message.offset() or 0
        elif not error.retriable():
            _raise_lasting(topic, error)
    return records, stood


def _raise_lasting(topic: str, error: KafkaError) -> None:
    gone = (KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET)  # noqa: SLF001
    if error.code() in gone or error.fatal():
        raise InvariantBroken(f"{topic} was created again or truncated while it was read: {error}")
    if error.code() not in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN):  # noqa: SLF001
        raise KafkaException(error)


def table_record(message: Message) -> TableRecord:
    """Return the record of a table that a message without an error holds."""
    key = message.key() or b""
    return TableRecord(
        message.topic() or "",
        key.decode("utf-8", "backslashreplace"),
        message.value(),
        message.offset() or 0,
        message.timestamp()[1],
    )
