"""Writes records in transactions, as the only writer of a transactional id.

Opening a writer fences an older process with the same id and ends the transaction that it may have
left open, so a later reading returns everything that was ever committed.
"""

import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar, Self

from confluent_kafka import (
    TIMESTAMP_LOG_APPEND_TIME,
    KafkaError,
    KafkaException,
    Message,
    Producer,
)

from hookstream.adapters.kafka.client import (
    FENCED,
    TOO_LARGE,
    ClientSettings,
    close_within,
    init_transactions,
    kafka_error,
    opened,
    transactional_properties,
    translated,
)
from hookstream.adapters.kafka.record import client_headers
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import OutgoingRecord
from hookstream.errors import (
    DependencyUnavailable,
    HookstreamError,
    InvariantBroken,
    ProducerFenced,
)

RECORD_BYTES = 16 * 1024 * 1024
"""The client's own bound. The broker applies the topic's bound."""

_CLOSE_SECONDS = 5.0


class AppendedLate(DependencyUnavailable):
    """Raised when the brokers appended a transaction's records too late; it was aborted, so nothing was written.

    Args:
        by: Milliseconds after the latest instant that was allowed.
    """

    def __init__(self, by: Millis) -> None:
        super().__init__(
            f"the brokers appended the change {by / 1_000:.1f} s too late for the instant from which it is"
            " in effect: nothing was written. Try again, or raise tables.activation_lead"
        )
        self.by = by


class TransactionalWriter:
    """The only writer of a transactional id, within `with`. Blocks; for one thread.

    Args:
        client: librdkafka's settings.
        transactional_id: A later writer with the same id fences this one.
        timeout: Seconds to wait at most for each answer of the broker.
    """

    transaction_millis: ClassVar[int]
    """How long the open transaction of a dead process can hide what others write after it."""
    properties: ClassVar[Mapping[str, int]]
    """More of librdkafka's settings."""
    fenced: ClassVar[str]
    """The text of ProducerFenced."""
    failed: ClassVar[str]
    """The beginning of any other error's text."""

    def __init__(
        self, client: ClientSettings, transactional_id: str, *, timeout: float = 30.0
    ) -> None:
        self._timeout = timeout
        self._broken = False
        self.is_unknown = False
        """Whether the last transaction may have been committed although `transact` raised: its end was
        requested, and no answer came. Only reading the topics shows the result."""
        self.appended: list[Message] = []
        """The records of the last transaction as the brokers appended them, in each partition's order."""
        self._refused: dict[int, KafkaError] = {}
        transactional = transactional_properties(client, transactional_id, self.transaction_millis)
        self._producer = opened(Producer, {**transactional, **self.properties})

    def __enter__(self) -> Self:
        """Fence an older process with the same id and end the transaction that it left open.

        Raises:
            DependencyUnavailable: The broker did not answer in time.
        """
        try:
            init_transactions(self._producer, self._timeout)
        except KafkaException as error:
            raise self._error(error) from error
        return self

    def __exit__(self, *_: object) -> None:
        """Release the producer. What is committed stays; an open transaction is aborted."""
        if self._broken:
            # The client warns that it cannot abort, which is known here.
            warnings.filterwarnings("ignore", "Producer abort_transaction failed", RuntimeWarning)
        # Threads and connections of a client that is never closed stay for ever. Closing one whose
        # transaction cannot be aborted may wait for that again, so it is not awaited here.
        close_within(0.0 if self._broken else _CLOSE_SECONDS, self._producer.close)

    @property
    def is_usable(self) -> bool:
        """Whether another transaction can be begun: none before it was left open."""
        return not self._broken

    def transact(
        self, records: Sequence[OutgoingRecord], *, append_by: Millis | None = None
    ) -> Sequence[int]:
        """Write records in one transaction, all of them or none.

        Args:
            records: The records.
            append_by: The latest append time of any of them, by the brokers' clock. The commit itself may come
                later: a reader of committed records knows that an open transaction hides something from it.

        Returns:
            The positions, ascending, of records that are too large for their topics: then nothing was
            written, and the writer can continue. Empty: everything was written.

        Raises:
            ProducerFenced: Another process took over; nothing was written, unless `is_unknown`.
            AppendedLate: A record was appended after `append_by`; nothing was written.
            DependencyUnavailable: The broker did not answer; nothing was written, unless `is_unknown`.
            InvariantBroken: An earlier transaction could be neither committed nor aborted.
        """
        if self._broken:
            raise InvariantBroken("a writer cannot be used after an error: open a new one")
        self.appended, self._refused, self.is_unknown = [], {}, False
        is_ending = False
        try:
            self._producer.begin_transaction()
            for position, record in enumerate(records):
                self._produce(position, record)
            if append_by is not None:
                self._check_appended(append_by)
            is_ending = True
            # Flushes first, and raises if a single record was refused.
            self._producer.commit_transaction(self._timeout)
        except KafkaException as error:
            if is_ending and not kafka_error(error).txn_requires_abort():
                # An abort after this may end a later transaction of the same producer (protocol v1).
                self._broken = self.is_unknown = True
                raise self._error(error) from error
            unaborted = self._abort()
            too_large = sorted(at for at, why in self._refused.items() if why.code() in TOO_LARGE)
            if too_large and not self._broken:
                return too_large
            raise self._error(error, *unaborted) from error
        return ()

    def _check_appended(self, append_by: Millis) -> None:
        """Abort the transaction if the brokers appended a record too late.

        A record that they did not acknowledge fails the commit.

        Raises:
            AppendedLate: They did.
        """
        try:
            self._producer.flush(self._timeout)
        except SystemError as error:
            # The client library raises a fatal error, such as that of a fenced writer, and calls back after that,
            # or loses it. The abort says which it is.
            failed = KafkaError(KafkaError._FAIL, str(error))  # noqa: SLF001
            raise KafkaException(failed) from error
        times = (each.timestamp() for each in self.appended)
        latest = max((at for kind, at in times if kind == TIMESTAMP_LOG_APPEND_TIME), default=0)
        if latest > append_by:
            # If that fails, the brokers abort it after the transaction timeout.
            self._abort()
            raise AppendedLate(latest - append_by)

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

    def _acknowledged(self, position: int, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self.appended.append(message)
        else:
            self._refused[position] = error

    def _abort(self) -> Sequence[KafkaError]:
        """End the open transaction; return why it cannot be ended."""
        try:
            self._producer.abort_transaction(self._timeout)
        except KafkaException as error:
            # Fenced, or the broker is away: the broker aborts it after the transaction timeout.
            self._broken = True
            return [kafka_error(error)]
        return []

    def _error(self, raised: KafkaException, *also: KafkaError) -> HookstreamError:
        """Return the error of a failed transaction.

        Args:
            raised: The first failure. If a producer learns outside of its calls that it was fenced, `produce`
                only reports that it is broken.
            also: Later failures.
        """
        errors = (kafka_error(raised), *self._refused.values(), *also)
        if any(each.code() in FENCED for each in errors):
            return ProducerFenced(self.fenced)
        return translated(raised, self.failed)


class JobWriter(TransactionalWriter):
    """Writes the steps of one job, whose transactional id is `Topics.job`.

    Records, marks and progress of a step are written together.
    """

    transaction_millis = 10_000
    properties: ClassVar[Mapping[str, int]] = {"message.max.bytes": RECORD_BYTES, "linger.ms": 5}
    fenced = (
        "another process took this job over: nothing of this step was written. Check its progress with"
        " `dlq jobs`"
    )
    failed = "the job's step cannot be written"

    def write(self, records: Sequence[OutgoingRecord]) -> Sequence[int]:
        """Write records, all of them or none.

        Returns:
            The positions of records that are too large for their topics: then nothing was written,
            and the rest may be written without them. Empty: everything was written.

        Raises:
            ProducerFenced: Another process took this job over; nothing was written.
            DependencyUnavailable: The broker did not answer; whether it was written is known when
                the job is continued.
        """
        return self.transact(records)
