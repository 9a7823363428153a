"""Writes records durably and tells the loop, once a batch, which of them the brokers have.

One idempotent producer (`acks=all`, no message timeout): a write waits for the broker, it does not
fail for lateness. A record that is refused for good is told to its writer; any other error is
fatal, and then nothing more is acknowledged, since what the log holds is no longer known.

A broker holds a whole batch against its topic's `max.message.bytes` and refuses all of it: where a
record may have been refused for its company, it is written again in ever smaller company.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeAlias

from confluent_kafka import (
    TIMESTAMP_LOG_APPEND_TIME,
    KafkaError,
    KafkaException,
    Message,
    Producer,
)

from hookstream.adapters.kafka.client import (
    TOO_LARGE,
    ClientSettings,
    close_within,
    kafka_error,
    opened,
    producer_properties,
)
from hookstream.adapters.kafka.record import client_headers
from hookstream.core.model.freshness import Moment
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import OutgoingRecord
from hookstream.errors import InvariantBroken
from hookstream.pipeline.ports import Acknowledged, Journal, WriteRefused

_LINGER_MILLIS = 5
_BATCH_BYTES = 262_144
"""Below any sensible `max.message.bytes`. A larger record always makes a batch of its own."""
_QUEUE_KILOBYTES = 32_768
_BUSY_SECONDS = 0.005
_IDLE_SECONDS = 1.0
"""How soon an error is heard of while nothing is being written."""
_CLOSE_SECONDS = 5.0

_STAMP_SECONDS = 0.5
_STAMPS = 8
"""Every so often, of so many records, the broker's time is noted: of several partitions, mostly."""

_REFUSED = TOO_LARGE | {
    KafkaError.INVALID_RECORD,
    KafkaError.INVALID_MSG,
    KafkaError.INVALID_TIMESTAMP,
    KafkaError.POLICY_VIOLATION,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.TOPIC_EXCEPTION,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001  librdkafka's own errors begin with an underscore
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
}

_Write: TypeAlias = tuple[OutgoingRecord, Acknowledged]
_Verdicts: TypeAlias = list[tuple[_Write, WriteRefused | None]]


class Stamps(Protocol):
    """Who hears of the times at which brokers append."""

    def moment(self) -> Moment:
        """Return the present."""

    def heard(self, place: str, stamp: Millis, asked: Moment, answered: Moment) -> None:
        """Learn that a partition's leader stamped a record between two moments."""

    def unstamped(self) -> None:
        """Note that a record was appended and no broker stamped it."""


class KafkaSink:
    """A RecordSink, made, used and served on the loop.

    The loop asks the producer for its reports every few milliseconds while there is something to
    report. A thread that waits for them instead costs a quarter more CPU a record, and at full
    speed up to twice as much: it and the loop take the interpreter from each other.

    Args:
        client: librdkafka's settings.
        max_record_bytes: The largest record that may be written, of any topic.
        journal: Hears of trouble.
        stamps: Hears at what time brokers append, a few records twice a second.
    """

    def __init__(
        self,
        client: ClientSettings,
        max_record_bytes: int,
        journal: Journal,
        stamps: Stamps | None = None,
    ) -> None:
        self._stamps = stamps
        self._stamped_at = float("-inf")
        self._to_stamp = 0
        """How many of the next records tell their broker's time."""
        self._loop = asyncio.get_running_loop()
        self.failed: asyncio.Future[None] = self._loop.create_future()
        """Fails with InvariantBroken where nothing more can be written: the process must end."""
        # A failure that nobody has begun to await yet is no warning at the process's end.
        self.failed.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._journal = journal
        self._backlog: deque[_Write] = deque()
        """What this turn of the loop wrote, and what the client's queue has no room for: as much as the
        pipeline's credit allows."""
        self._suspects: deque[_Write] = deque()
        """Refused in a batch: written again in ever smaller groups, while all else waits."""
        self._group = 0
        """How many suspects are being written together; 0: none."""
        self._group_bytes = _BATCH_BYTES
        self._group_was_refused = False
        self._queued = 0
        """How many the client has."""
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False
        self._verdicts: _Verdicts = []
        self._producer = opened(
            Producer,
            {
                "linger.ms": _LINGER_MILLIS,
                "batch.size": _BATCH_BYTES,
                "queue.buffering.max.kbytes": _QUEUE_KILOBYTES,
                "message.max.bytes": max_record_bytes,
                # The same partition for a key as Kafka's own clients choose.
                "partitioner": "murmur2_random",
                **producer_properties(client, journal),
                "message.timeout.ms": 0,
                "error_cb": self._on_error,
            },
            client,
        )
        self._timer = self._loop.call_later(_IDLE_SECONDS, self._serve)

    def write(self, record: OutgoingRecord, acknowledged: Acknowledged) -> None:
        """As RecordSink says."""
        if self._closed or self.failed.done():
            return
        if self._idle.is_set():
            self._idle.clear()
            self._timer.cancel()
            self._timer = self._loop.call_later(_BUSY_SECONDS, self._serve)
        if not self._backlog:
            # Once a turn of the loop, all together: code that runs again at once is in the cache.
            self._loop.call_soon(self._hand_over)
        self._backlog.append((record, acknowledged))

    async def flush(self, deadline: float) -> bool:
        """Wait until all that was written is acknowledged, and tell whether it is.

        Args:
            deadline: Seconds to wait at most; less is waited where the sink fails.
        """
        try:
            async with asyncio.timeout(deadline):
                await self._idle.wait()
        except TimeoutError:
            return False
        return not self.failed.done()

    async def close(self, seconds: float = _CLOSE_SECONDS) -> None:
        """Let go of the producer; what is not acknowledged by now never will be.

        Args:
            seconds: How long that may take before the client is left to itself.
        """
        if self._closed:
            return
        self._closed = True
        self._timer.cancel()
        await asyncio.to_thread(self._close, seconds)
        if not self.failed.done():
            self.failed.cancel()

    def _produce(self, write: _Write) -> bool:
        """Hand a record to the client; False where its queue is full."""
        record = write[0]
        try:
            self._producer.produce(
                record.topic,
                record.value,
                record.key,
                on_delivery=partial(self._on_delivery, write)
                if not self._to_stamp
                else self._stamping(write),
                headers=client_headers(record.headers),
            )
        except BufferError:
            return False
        except (TypeError, ValueError) as raised:
            # The client cannot even take it: a topic's name that is not text, for one.
            why = f"{record.topic!a} cannot be written: {raised}"
            self._refuse(write, WriteRefused(why, too_large=False))
        except KafkaException as raised:
            error = kafka_error(raised)
            if error.code() not in _REFUSED:
                self._fail(_broken(error))
                return True
            self._refuse(write, _refusal(record.topic, error))
        self._queued += 1
        return True

    def _refuse(self, write: _Write, refusal: WriteRefused) -> None:
        """Tell a writer of what the client refused at once, as if the record were alone."""
        # Later, as everything is acknowledged: a writer may still be in the middle of it.
        verdicts: _Verdicts = [(write, refusal)]
        self._loop.call_soon(self._acknowledge, verdicts, True)  # noqa: FBT003

    def _acknowledge(self, verdicts: _Verdicts, final: bool = False) -> None:  # noqa: FBT001, FBT002
        if self._closed or self.failed.done():
            return
        self._queued -= len(verdicts)
        try:
            for write, refusal in verdicts:
                if refusal is None or final or not self._may_be_innocent(write, refusal):
                    write[1](refusal)
                else:
                    self._suspects.append(write)
                    self._group_was_refused = True
        except Exception as error:  # noqa: BLE001  what is settled is no longer known: the process ends
            broken = InvariantBroken(f"an acknowledgement could not be taken: {error!r}")
            broken.__cause__ = error
            self._fail(broken)
            return
        self._go_on()

    def _may_be_innocent(self, write: _Write, refusal: WriteRefused) -> bool:
        return refusal.too_large and self._group != 1 and _size(write) < _BATCH_BYTES

    def _go_on(self) -> None:
        """Write what waits: first the suspects, then the backlog."""
        if self._queued and (self._group or self._suspects):
            return
        self._group = 0
        if self._suspects:
            self._write_suspects()
            return
        self._group_bytes = _BATCH_BYTES
        self._hand_over()
        if not self._queued:
            self._idle.set()

    def _hand_over(self) -> None:
        """Hand the client what waits, as far as its queue has room and no suspects go first."""
        if self._closed or self.failed.done() or self._group or self._suspects:
            return
        backlog = self._backlog
        if self._stamps is not None and backlog:
            now = self._loop.time()
            if now - self._stamped_at >= _STAMP_SECONDS:
                self._stamped_at, self._to_stamp = now, _STAMPS
        while backlog and self._produce(backlog[0]):
            backlog.popleft()

    def _write_suspects(self) -> None:
        """Write a group, half as large as one that was refused; one record at least."""
        if self._group_was_refused:
            self._group_bytes //= 2
            self._group_was_refused = False
        room = self._group_bytes
        while self._suspects and (not self._group or _size(self._suspects[0]) <= room):
            write = self._suspects.popleft()
            room -= _size(write)
            self._group += 1
            self._produce(write)

    def _fail(self, error: InvariantBroken) -> None:
        if not self.failed.done():
            self._journal.error("producer.failed", detail=str(error))
            self.failed.set_exception(error)
            # Whoever waits for a flush need not wait for its deadline.
            self._idle.set()

    def _serve(self) -> None:
        """Take the reports that are ready, then come back."""
        self._producer.poll(0)
        if self._verdicts:
            verdicts, self._verdicts = self._verdicts, []
            self._acknowledge(verdicts)
        if not self._closed:
            pause = _IDLE_SECONDS if self._idle.is_set() else _BUSY_SECONDS
            self._timer = self._loop.call_later(pause, self._serve)

    def _stamping(self, write: _Write) -> Callable[[KafkaError | None, Message], None]:
        """Return what hears of a record's delivery, and tells when its broker appended it."""
        stamps = self._stamps
        if stamps is None:
            raise InvariantBroken("a stamp was asked for that nobody hears of")
        self._to_stamp -= 1
        asked = stamps.moment()

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is None:
                kind, stamp = message.timestamp()
                if kind == TIMESTAMP_LOG_APPEND_TIME:
                    place = f"{message.topic()}/{message.partition()}"
                    stamps.heard(place, stamp, asked, stamps.moment())
                else:
                    stamps.unstamped()
            self._on_delivery(write, error, message)

        return delivered

    def _on_delivery(self, write: _Write, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self._verdicts.append((write, None))
        elif error.code() in _REFUSED:
            self._verdicts.append((write, _refusal(write[0].topic, error)))
        elif not self._closed:
            self._fail(_broken(error))

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._fail(_broken(error))

    def _close(self, seconds: float) -> None:
        # Else closing would wait for a broker that may never come.
        self._producer.purge()
        close_within(seconds, self._producer.close)


def _size(write: _Write) -> int:
    return len(write[0].value or b"") + len(write[0].key or b"")


def _refusal(topic: str, error: KafkaError) -> WriteRefused:
    return WriteRefused(
        f"{topic}: {error.str()} ({error.name()})", too_large=error.code() in TOO_LARGE
    )


def _broken(error: KafkaError) -> InvariantBroken:
    return InvariantBroken(
        f"the producer cannot go on: {error.str()} ({error.name()}); nothing more is settled"
    )
