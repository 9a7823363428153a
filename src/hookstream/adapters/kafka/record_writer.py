"""Writes single records outside of transactions, each acknowledged before the next one."""

from typing import Self

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from hookstream.adapters.kafka.client import (
    TOO_LARGE,
    ClientSettings,
    close_within,
    opened,
    producer_properties,
    translated,
)
from hookstream.adapters.kafka.jobs import append_time
from hookstream.adapters.kafka.record import client_headers
from hookstream.adapters.kafka.transactions import RECORD_BYTES
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import OutgoingRecord
from hookstream.errors import DependencyUnavailable, InputRefused

_CLOSE_SECONDS = 5.0


class RecordWriter:
    """Writes a record and waits for its acknowledgement, within `with`. Blocks; for one thread.

    Args:
        client: librdkafka's settings.
        timeout: Seconds to wait at most for each acknowledgement.
    """

    def __init__(self, client: ClientSettings, *, timeout: float = 30.0) -> None:
        self._timeout = timeout
        properties = {"linger.ms": 0, "message.max.bytes": RECORD_BYTES}
        self._producer = opened(Producer, producer_properties(client, None) | properties)

    def __enter__(self) -> Self:
        """Begin to write."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the producer."""
        close_within(_CLOSE_SECONDS, self._producer.close)

    def write(self, record: OutgoingRecord) -> Message:
        """Write a record, and return it as the broker appended it.

        Raises:
            InputRefused: It is larger than its topic allows; nothing was written.
            ConfigurationError: It may not be written.
            DependencyUnavailable: The broker did not acknowledge it in time; it may be written.
        """
        doing = f"{record.topic} cannot be written"
        answers: list[tuple[KafkaError | None, Message]] = []
        try:
            self._producer.produce(
                record.topic,
                key=record.key,
                value=record.value,
                headers=client_headers(record.headers),
                on_delivery=lambda error, message: answers.append((error, message)),
            )
            self._producer.flush(self._timeout)
        except KafkaException as raised:
            raise translated(raised, doing) from raised
        if not answers:
            raise DependencyUnavailable(
                f"{doing}: no acknowledgement within {self._timeout:g} s; it may still be written"
            )
        error, message = answers[0]
        if error is None:
            return message
        if error.code() in TOO_LARGE:
            raise InputRefused(f"{record.topic} does not take a record as large as this one")
        raise translated(KafkaException(error), doing)

    def broker_time(self, topic: str, key: bytes) -> Millis:
        """Return the broker's wall clock: its timestamp of a record without a value.

        Args:
            topic: Where that record is written: a compacted topic that the brokers stamp.
            key: Its key, which no row has.

        Raises:
            ConfigurationError: The topic keeps `CreateTime`, or it may not be written.
            DependencyUnavailable: The broker did not answer.
        """
        return append_time(self.write(OutgoingRecord(topic, key, None)))
