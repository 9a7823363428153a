"""Writes records durably, and acknowledges them in batches on the event loop.

One idempotent producer (`acks=all`, no message timeout): a write waits for the broker and never times
out. A record that is refused for good is reported to its writer. Any other error is fatal: nothing
more is acknowledged then, since the log's contents are no longer known.

A broker checks a whole batch against its topic's `max.message.bytes` and refuses all of it. A record
that may have been refused because of the others in its batch is written again in ever smaller groups.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

from confluent_kafka import (
    TIMESTAMP_LOG_APPEND_TIME,
    KafkaError,
    KafkaException,
    Message,
    Producer,
)

from hookstream.adapters.kafka.client import (
    TOO_LARGE,
    TOPIC_GONE,
    ClientSettings,
    close_within,
    kafka_error,
    opened,
    producer_properties,
)
from hookstream.adapters.kafka.record import client_headers
from hookstream.core.model.record import OutgoingRecord
from hookstream.errors import InvariantBroken
from hookstream.pipeline.broker_clock import BrokerClock
from hookstream.pipeline.ports import Acknowledged, Logger, WriteRefused

PROMPT: Final = 5
"""Milliseconds that a write waits for others, if a caller waits for its acknowledgement."""
PATIENT: Final = 20
"""The same if none does. librdkafka's thread spins while brokers have not answered and records are
due: that took 20 to 74 µs of CPU a record at 5 ms, and 0 to 3 µs at 20 (docs/benchmarks.md)."""
_BATCH_BYTES = 262_144
"""Below any sensible `max.message.bytes`. A larger record always makes a batch of its own."""
_QUEUE_KILOBYTES = 32_768
_IDLE_SECONDS = 1.0
"""How soon an error is noticed while nothing is being written."""
_CLOSE_SECONDS = 5.0

_STAMP_SECONDS = 0.5
_STAMPS = 8
"""At this interval, the broker's time is taken from so many records, mostly of several partitions."""

_REFUSED = (
    TOO_LARGE
    | TOPIC_GONE
    | {
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_MSG,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.POLICY_VIOLATION,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_EXCEPTION,
    }
)

_Write: TypeAlias = tuple[OutgoingRecord, Acknowledged]
_Results: TypeAlias = list[tuple[_Write, WriteRefused | None]]


class KafkaSink:
    """A RecordSink, made, used and polled on the loop.

    The loop polls the producer for delivery reports every few milliseconds while any are due. A thread
    that waits for them instead costs a quarter more CPU a record, and up to twice as much at full
    speed, since it and the loop compete for the interpreter.

    Args:
        client: librdkafka's settings.
        max_record_bytes: The largest record that may be written, of any topic.
        logger: The log.
        clock: Learns the times at which brokers append, for a few records twice a second.
        linger: Milliseconds that a write waits for others, to be sent with them.
    """

    def __init__(
        self,
        client: ClientSettings,
        max_record_bytes: int,
        logger: Logger,
        clock: BrokerClock | None = None,
        linger: int = PROMPT,
    ) -> None:
        self._clock = clock
        self._busy_seconds = max(PROMPT, linger / 2) / 1000
        """How soon delivery reports are handled that are ready."""
        self._stamped_at = float("-inf")
        self._to_stamp = 0
        """How many of the next records give their broker's time."""
        self._loop = asyncio.get_running_loop()
        self.failed: asyncio.Future[None] = self._loop.create_future()
        """Fails with InvariantBroken when nothing more can be written: the process must end."""
        # Retrieved here, so that asyncio does not warn of a failure that is not awaited yet.
        self.failed.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._logger = logger
        self._backlog: deque[_Write] = deque()
        """Records written in this iteration of the loop, and those for which the client's queue has no room.
        The pipeline's credit bounds it."""
        self._suspects: deque[_Write] = deque()
        """Records refused in a batch: written again in ever smaller groups, while all others wait."""
        self._group = 0
        """How many suspects are being written together; 0: none."""
        self._group_bytes = _BATCH_BYTES
        self._group_was_refused = False
        self._queued = 0
        """The number of records in the client."""
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False
        self._results: _Results = []
        self._producer = opened(
            Producer,
            {
                "linger.ms": linger,
                "batch.size": _BATCH_BYTES,
                "queue.buffering.max.kbytes": _QUEUE_KILOBYTES,
                "message.max.bytes": max_record_bytes,
                # The partition of a key that Kafka's own clients choose.
                "partitioner": "murmur2_random",
                **producer_properties(client, logger),
                "message.timeout.ms": 0,
                "error_cb": self._on_error,
            },
        )
        self._timer = self._loop.call_later(_IDLE_SECONDS, self._serve)

    def write(self, record: OutgoingRecord, acknowledged: Acknowledged) -> None:
        """As RecordSink says."""
        if self._closed or self.failed.done():
            return
        if self._idle.is_set():
            self._idle.clear()
            self._timer.cancel()
            self._timer = self._loop.call_later(self._busy_seconds, self._serve)
        if not self._backlog:
            # All records of one loop iteration together: repeated code is in the CPU's cache.
            self._loop.call_soon(self._hand_over)
        self._backlog.append((record, acknowledged))

    async def flush(self, deadline: float) -> bool:
        """Wait until everything written is acknowledged, and return whether it is.

        Args:
            deadline: Seconds to wait at most. A failure of the sink ends the wait.
        """
        try:
            async with asyncio.timeout(deadline):
                await self._idle.wait()
        except TimeoutError:
            return False
        return not self.failed.done()

    async def close(self, seconds: float = _CLOSE_SECONDS) -> None:
        """Release the producer. Records that are not acknowledged by now never will be.

        Args:
            seconds: How long that may take before the client is abandoned.
        """
        if self._closed:
            return
        self._closed = True
        self._timer.cancel()
        await asyncio.to_thread(self._close, seconds)
        if not self.failed.done():
            self.failed.cancel()

    def _produce(self, write: _Write) -> bool:
        """Hand a record to the client; False: its queue is full."""
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
            # The client does not accept it, for example because a topic's name is not text.
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
        """Report a record that the client itself refused, as if it were alone in its batch."""
        # Not now: an acknowledgement never comes within `write`.
        results: _Results = [(write, refusal)]
        self._loop.call_soon(self._acknowledge, results, True)  # noqa: FBT003

    def _acknowledge(self, results: _Results, final: bool = False) -> None:  # noqa: FBT001, FBT002
        if self._closed or self.failed.done():
            return
        self._queued -= len(results)
        try:
            for write, refusal in results:
                if refusal is None or final or not self._may_be_innocent(write, refusal):
                    write[1](refusal)
                else:
                    self._suspects.append(write)
                    self._group_was_refused = True
        except Exception as error:  # noqa: BLE001  settled offsets are no longer known: the process ends
            broken = InvariantBroken(f"an acknowledgement could not be taken: {error!r}")
            broken.__cause__ = error
            self._fail(broken)
            return
        self._continue()

    def _may_be_innocent(self, write: _Write, refusal: WriteRefused) -> bool:
        return refusal.too_large and self._group != 1 and _size(write) < _BATCH_BYTES

    def _continue(self) -> None:
        """Write waiting records: the suspects first, then the backlog."""
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
        """Hand the backlog to the client, as far as its queue has room and no suspects precede it."""
        if self._closed or self.failed.done() or self._group or self._suspects:
            return
        backlog = self._backlog
        if self._clock is not None and backlog:
            now = self._loop.time()
            if now - self._stamped_at >= _STAMP_SECONDS:
                self._stamped_at, self._to_stamp = now, _STAMPS
        while backlog and self._produce(backlog[0]):
            backlog.popleft()

    def _write_suspects(self) -> None:
        """Write a group of suspects, half as large as one that was refused; one record at least."""
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
            self._logger.error("producer.failed", detail=str(error))
            self.failed.set_exception(error)
            # A flush need not wait for its deadline.
            self._idle.set()

    def _serve(self) -> None:
        """Handle the delivery reports that are ready, then schedule the next poll."""
        self._producer.poll(0)
        if self._results:
            results, self._results = self._results, []
            self._acknowledge(results)
        if not self._closed:
            pause = _IDLE_SECONDS if self._idle.is_set() else self._busy_seconds
            self._timer = self._loop.call_later(pause, self._serve)

    def _stamping(self, write: _Write) -> Callable[[KafkaError | None, Message], None]:
        """Return a delivery callback that also reports when the broker appended the record."""
        clock = self._clock
        if clock is None:
            raise InvariantBroken("a broker's time is taken and no clock learns it")
        self._to_stamp -= 1
        asked = clock.moment()

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is None:
                kind, stamp = message.timestamp()
                if kind == TIMESTAMP_LOG_APPEND_TIME:
                    place = f"{message.topic()}/{message.partition()}"
                    clock.learn(place, stamp, asked, clock.moment())
                else:
                    clock.unstamped()
            self._on_delivery(write, error, message)

        return delivered

    def _on_delivery(self, write: _Write, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self._results.append((write, None))
        elif error.code() in _REFUSED:
            self._results.append((write, _refusal(write[0].topic, error)))
        elif not self._closed:
            self._fail(_broken(error))

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._fail(_broken(error))

    def _close(self, seconds: float) -> None:
        # Otherwise closing would wait for a broker that may never return.
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
        f"the producer cannot continue: {error.str()} ({error.name()}); nothing more is settled"
    )
