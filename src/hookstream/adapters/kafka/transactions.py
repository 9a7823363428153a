"""Writes what a long job does, each step in one transaction: records, marks and progress, or none.

A job's transactional id is its own. Whoever opens a writer for it fences an older process of the
same job and ends the transaction that it may have left open, so what is read after `open` is all
that was ever done.
"""

from collections.abc import Sequence
from functools import partial
from typing import Self

from confluent_kafka import KafkaError, KafkaException, Message, Producer

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
from hookstream.core.model.record import OutgoingRecord
from hookstream.errors import HookstreamError, InvariantBroken, ProducerFenced

TRANSACTION_MILLIS = 10_000
"""How long the open transaction of a dead job can hide what others write behind it."""

RECORD_BYTES = 16 * 1024 * 1024
"""What this client lets pass. The broker's bound is the topic's own, and it is the one to judge."""

_CLOSE_SECONDS = 5.0


class JobWriter:
    """The one writer of a job, from `open` (or `with`) until `close`. Blocks; for one thread.

    Args:
        client: librdkafka's settings.
        transactional_id: The job's own (`Topics.job`).
        timeout: Seconds to wait at most for each answer of the broker.
    """

    def __init__(
        self, client: ClientSettings, transactional_id: str, *, timeout: float = 30.0
    ) -> None:
        self._timeout = timeout
        self._broken = False
        self._refused: dict[int, KafkaError] = {}
        properties = transactional_properties(client, transactional_id, TRANSACTION_MILLIS)
        sizes = {"message.max.bytes": RECORD_BYTES, "linger.ms": 5}
        self._producer = opened(Producer, properties | sizes, client)

    def __enter__(self) -> Self:
        """Open it."""
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def open(self) -> None:
        """Fence an older process of the same job and end what it left open.

        Raises:
            DependencyUnavailable: The broker did not answer in time.
        """
        try:
            init_transactions(self._producer, self._timeout)
        except KafkaException as error:
            raise _job_error(error) from error

    def close(self) -> None:
        """Let go of the producer. What is committed stays; what is not is aborted."""
        close_within(_CLOSE_SECONDS, self._close)

    def _close(self) -> None:
        try:
            self._producer.close()
        except (KafkaException, SystemError):
            # A fenced producer cannot end its transaction; the newer one has done so already.
            # The client raises that as a SystemError around its own exception.
            self._broken = True

    def write(self, records: Sequence[OutgoingRecord]) -> Sequence[int]:
        """Write records, all of them or none.

        Returns:
            The positions of records that are too large for their topics: then nothing was written,
            and the rest may be written without them. Empty: everything was.

        Raises:
            ProducerFenced: Another process took this job over; nothing was written.
            DependencyUnavailable: The broker did not answer; whether it was written shows when the
                job is taken up again.
        """
        if self._broken:
            raise InvariantBroken("a job's writer cannot be used after an error: open a new one")
        self._refused = {}
        try:
            self._producer.begin_transaction()
            for position, record in enumerate(records):
                self._produce(position, record)
            self._producer.commit_transaction(self._timeout)
        except KafkaException as error:
            self._abort()
            too_large = self._too_large()
            if too_large and not self._broken:
                return too_large
            raise _job_error(error, *self._refused.values()) from error
        return ()

    def _produce(self, position: int, record: OutgoingRecord) -> None:
        acknowledged = partial(self._acknowledged, position)
        while True:
            try:
                self._producer.produce(
                    record.topic,
                    key=record.key,
                    value=record.value,
                    headers=client_headers(record.headers),
                    on_delivery=acknowledged,
                )
            except BufferError:
                self._producer.poll(self._timeout)
            except KafkaException as error:
                self._refused[position] = kafka_error(error)
                raise
            else:
                return

    def _acknowledged(self, position: int, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._refused[position] = error

    def _too_large(self) -> list[int]:
        return sorted(at for at, error in self._refused.items() if is_too_large(error))

    def _abort(self) -> None:
        try:
            self._producer.abort_transaction(self._timeout)
        except KafkaException:
            # Fenced, or the broker is away: the broker aborts it after the transaction timeout.
            self._broken = True


def _job_error(raised: KafkaException, *refused: KafkaError) -> HookstreamError:
    if is_fenced((kafka_error(raised), *refused)):
        return ProducerFenced(
            "another process took this job over: nothing of this step was written. See what it"
            " did with `dlq jobs`"
        )
    return translated(raised, "the job's step cannot be written")
