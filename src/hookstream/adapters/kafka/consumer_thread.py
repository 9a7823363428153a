"""Runs one consumer on its thread: polls on request, and otherwise often enough to stay in the group.

Only this thread polls the client. Between requests it waits. After a second without one it pauses all
partitions and polls anyway, so that rebalances are served and the group keeps the member.
"""

import re
import threading
from collections import deque
from collections.abc import Callable, Container, Iterable, Mapping, Sequence

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
)

from hookstream.adapters.kafka.assignment import Assignment
from hookstream.adapters.kafka.client import (
    FORBIDDEN,
    OFFSETS_GONE,
    TOPIC_GONE,
    LastingFailure,
    translated,
)
from hookstream.adapters.kafka.listener import ConsumerListener
from hookstream.adapters.kafka.loop_bridge import LoopBridge
from hookstream.adapters.kafka.offsets import End, ends
from hookstream.adapters.kafka.record import record_of
from hookstream.adapters.kafka.stalls import StallDetector
from hookstream.core.model.record import Record, TopicPartition
from hookstream.core.offsets.commit_metadata import CommitPosition
from hookstream.core.offsets.stalls import Stalls
from hookstream.errors import (
    ConfigurationError,
    DependencyUnavailable,
    HookstreamError,
    InvariantBroken,
)
from hookstream.pipeline.defects import Step, StoppedLines, Unexpected, described
from hookstream.pipeline.ports import Clock, Logger

_POLL_SECONDS = 0.2
_GATHER_SECONDS = 0.002
"""Records that come within so long of the last hand-over are handed over together: each hand-over wakes
two threads, which costs 30 µs of CPU (docs/benchmarks.md). A record that comes later is not held back."""
_IDLE_SECONDS = 1.0
"""After so long without a request, the consumer goes idle."""
_CHORES_SECONDS = 1.0
_LOOK_UP_SECONDS = 10.0
_REMIND_SECONDS = 60.0
_OPEN_TRANSACTION_SECONDS = 30.0
"""A producer's transaction that stays open for longer is logged."""

_NO_SUCH_PROTOCOL = (
    KafkaError.UNSUPPORTED_VERSION,
    KafkaError._UNSUPPORTED_FEATURE,  # noqa: SLF001
)
_GROUP_LOST = "group id does not exist"
"""Seen with Kafka 4 when a single broker was killed repeatedly and was loading its groups."""
_TRUNCATED = "log truncation detected"
_CUT_AT = re.compile(r"broker end offset is (-?\d+)")
"""Only the text says so (librdkafka 2.16): the code is that of any offset that is gone."""
_OF_NO_RECORD = OFFSETS_GONE | TOPIC_GONE | FORBIDDEN | {KafkaError._FATAL}  # noqa: SLF001


class ConsumerThread(threading.Thread):
    """One client and its thread. `run` is the thread; the public methods above it run on the loop."""

    def __init__(
        self,
        consumer: Consumer,
        pick: Callable[[Iterable[str]], list[str]],
        listener: ConsumerListener,
        loop: LoopBridge,
        logger: Logger,
        clock: Clock,
        skipped: Container[tuple[TopicPartition, int]] = (),
        *,
        group: str,
    ) -> None:
        super().__init__(name=f"kafka-{group}", daemon=True)
        self.assignment = Assignment(consumer, listener, loop, logger, clock, skipped, group=group)
        self._unexpected = Unexpected(logger)
        self._lines = StoppedLines()
        self._consumer = consumer
        self._pick = pick
        self._listener = listener
        self._loop = loop
        self._logger = logger
        self._clock = clock
        self._unknown = LastingFailure("topics.unknown", logger, clock)
        self._changed = threading.Condition()
        # Shared, under `_changed`.
        self._ending = False
        self._request: int | None = None
        self._orders: deque[Callable[[], None]] = deque()
        self.turned_at = clock.monotonic()
        """When the thread last began an iteration. Written by it, read for the worker's health."""
        self.open_transaction_since: float | None = None
        """Since when an open transaction has hidden records of a partition; None: there is none."""
        self.exist = 0
        """The number of partitions of the picked topics. Written by the thread, read on the loop."""
        self.stalls = StallDetector(logger, clock)
        """Detects partitions that return nothing although they have records."""
        # The thread's own.
        self._drained = False
        """Whether all ready records were taken at least once since the ends were last looked up."""
        self._transactions = Stalls()
        self._transaction_reported = False
        self._subscribed: list[str] = []
        self._answered_at = clock.monotonic()
        self._next_chores = 0.0
        self._next_look_up = 0.0
        self._next_reminder = 0.0

    def request(self, most: int) -> None:
        """Request at most `most` records; `on_records` answers."""
        with self._changed:
            self._request = most
            self._changed.notify()

    def order(self, order: Callable[[], None]) -> None:
        """Run something on the thread."""
        with self._changed:
            self._orders.append(order)
            self._changed.notify()

    def commit(self, offsets: Mapping[TopicPartition, CommitPosition]) -> None:
        """Commit offsets, after the current poll."""
        self.assignment.commits.settled(offsets)
        self.order(self.assignment.commit_settled)

    def pause(self, partition: TopicPartition) -> None:
        """Stop fetching a partition, after the current poll."""
        self.assignment.pause(partition)
        self.order(lambda: self.assignment.flow(partition))

    def resume(self, partition: TopicPartition) -> None:
        """Fetch a partition again, after the current poll."""
        self.assignment.resume(partition)
        self.order(lambda: self.assignment.flow(partition))

    def end(self) -> None:
        """End the thread after its current iteration."""
        with self._changed:
            self._ending = True
            self._changed.notify()

    def run(self) -> None:
        """Serve until `end`, then commit and leave the group. The listener is notified of any other end."""
        try:
            while not self._ending:
                self.turned_at = self._clock.monotonic()
                self._serve()
        except HookstreamError as error:
            self._end_by(error)
        except KafkaException as error:
            self._end_by(translated(error, "records cannot be read"))
        except Exception as error:  # noqa: BLE001  no thread may end in silence
            broken = InvariantBroken(f"the group member failed: {error!r}")
            broken.__cause__ = error
            self._end_by(broken)
        self._leave()

    def look_up(self) -> None:
        """Look up the topics, and subscribe again if the picked ones changed."""
        now = self._clock.monotonic()
        self._next_look_up = now + _LOOK_UP_SECONDS
        try:
            known = self._consumer.list_topics(timeout=1.0).topics
            topics = sorted(self._pick(known))
            self.exist = sum(len(known[topic].partitions) for topic in topics)
        except KafkaException as error:
            self._unknown.lasts(str(error.args[0]))
            self._next_look_up = now + _CHORES_SECONDS
            return
        self._unknown.over()
        self._check_ends(now)
        if topics == self._subscribed:
            return
        self._subscribed = topics
        self._logger.info("consumer.subscribed", topics=", ".join(topics))
        if not topics:
            self._consumer.unsubscribe()
            return
        self._consumer.subscribe(
            topics,
            on_assign=self.assignment.on_assign,
            on_revoke=self.assignment.on_revoke,
            on_lost=self.assignment.on_lost,
        )

    # On the thread.

    def _leave(self) -> None:
        """Commit settled offsets, then close the client, whatever the commit raises."""
        try:
            self.assignment.release_all()
        except Exception as error:  # noqa: BLE001  the listener raised it, and there is no caller
            self._logger.error("consumer.close_failed", detail=repr(error))
        # A close can hang while brokers misbehave: the thread that joins this one has a timeout.
        try:
            self._consumer.close()
        except KafkaException:
            pass  # a client that lost its broker raises again, which was reported already
        except Exception as error:  # noqa: BLE001  a callback raised it, and there is no caller
            self._logger.error("consumer.close_failed", detail=repr(error))

    def _end_by(self, error: HookstreamError) -> None:
        """Report the error that ended the thread."""
        self._loop.post(self._listener.on_failed, error)

    def commit_answered(self, offsets: Mapping[TopicPartition, int]) -> None:
        """A commit was answered, within a poll: send the next one."""
        self.assignment.commits.answered(offsets)
        self.order(self.assignment.commit_settled)

    def _check_ends(self, now: float) -> None:
        """Check for partitions that have records but return none."""
        try:
            found = ends(self._consumer, list(self.assignment.read))
        except KafkaException:
            # Earlier findings stay. Others report that the broker does not answer.
            self.stalls.not_checked()
            return
        self._check_transactions(found, now)
        drained, self._drained = self._drained, False
        stable = {at: end.stable for at, end in found.items()}
        stalled = [at for at in self.stalls.stalled if at in self.assignment.read]
        behind = {
            at: next_offset
            for at in stalled
            if (next_offset := self.assignment.next_offset(at)) < stable.get(at, next_offset + 1)
        }
        places = self.assignment.unread(stable if drained else {})
        for at in self.stalls.look(places, behind):
            self.assignment.rewind(at)

    def _check_transactions(self, found: Mapping[TopicPartition, End], now: float) -> None:
        """Check for a last stable offset below its log's end that does not move."""
        hidden = {at: end.stable for at, end in found.items() if end.stable < end.high}
        stalled = self._transactions.look(hidden, now)
        self.open_transaction_since = None if stalled is None else now - stalled.seconds
        lasts = stalled is not None and stalled.seconds >= _OPEN_TRANSACTION_SECONDS
        if stalled is not None and lasts and not self._transaction_reported:
            self._logger.warning(
                "transaction.hangs",
                **stalled.where._asdict(),
                offset=hidden[stalled.where],
                seconds=round(stalled.seconds),
            )
        self._transaction_reported = lasts

    def _serve(self) -> None:
        """Do what is due, then answer a request or go idle."""
        self._do_chores(self._clock.monotonic())
        most = self._next_request()
        while self._orders:
            self._orders.popleft()()
        if most is not None:
            self.assignment.set_idle(idle=False)
            self._loop.post(self._listener.on_records, self._take(most))
            self._answered_at = self._clock.monotonic()
        elif self.assignment.is_idle:
            self._rewind(self._consumer.poll(0))
        elif self._clock.monotonic() >= self._answered_at + _IDLE_SECONDS:
            # Even if orders came since: only a request polls, and so serves the group.
            self.assignment.set_idle(idle=True)

    def _do_chores(self, now: float) -> None:
        if now < self._next_chores:
            return
        self._next_chores = now + _CHORES_SECONDS
        if now >= self._next_look_up:
            self.look_up()
        if now >= self._next_reminder:
            self._next_reminder = now + _REMIND_SECONDS
            self.assignment.log_stopped()
        self.assignment.commit_settled()
        self.assignment.start_waiting()
        self.assignment.try_again()

    def _next_request(self) -> int | None:
        """Wait for a request or an order, and return how many records are requested."""
        seconds = _POLL_SECONDS if self.assignment.is_idle else _IDLE_SECONDS
        with self._changed:
            self._changed.wait_for(
                lambda: self._request is not None or self._orders or self._ending, seconds
            )
            most, self._request = self._request, None
            return most

    def _take(self, most: int) -> list[Record]:
        self.assignment.released.clear()
        first = self._consumer.poll(_POLL_SECONDS)
        if first is None:
            self._drained = True
            return []
        messages = [first]
        if most > 1:
            soon = self._answered_at + _GATHER_SECONDS - self._clock.monotonic()
            messages += self._consumer.consume(most - 1, min(max(soon, 0), _GATHER_SECONDS))
        self._drained |= len(messages) < most
        if self.assignment.released or self.assignment.waiting:
            messages = [message for message in messages if self._is_read(message)]
            self._rewind_returned()
        return self._records(messages)

    def _rewind(self, message: Message | None) -> None:
        """Rewind to a record that came although all partitions are paused: it is read again later."""
        if message is None:
            return
        at = _at(message)
        if message.error() is not None:
            self._records([message])
        elif at in self.assignment.read:
            self.assignment.rewind(at)

    def _is_read(self, message: Message) -> bool:
        at = _at(message)
        return message.error() is not None or (
            at in self.assignment.read and at not in self.assignment.released
        )

    def _rewind_returned(self) -> None:
        """Rewind the partitions that were released and assigned again within one batch.

        The batch may have records of both assignments, which cannot be distinguished: none is used.
        """
        assignment = self.assignment
        back = {at: assignment.read[at] for at in assignment.released if at in assignment.read}
        assignment.released.clear()
        if back:
            assignment.seek(back)

    def _records(self, messages: Sequence[Message]) -> list[Record]:
        records: list[Record] = []
        errors = []
        raised: list[tuple[TopicPartition, int, Exception]] = []
        unfetched: set[tuple[str | None, int | None]] = set()
        admits = self.assignment.admits
        for message in messages:
            place = message.topic(), message.partition()
            error = message.error()
            if error is not None:
                at = _at(message)
                errors.append((at, message.offset() or 0, error))
                if at in self.assignment.read and error.code() not in _OF_NO_RECORD:
                    unfetched.add(place)
                continue
            # The client may continue after a batch that it cannot read.
            if place in unfetched or not admits(place, message.offset()):  # type: ignore[arg-type]
                continue
            try:
                records.append(record_of(message))
            except Exception as failure:  # noqa: BLE001  the fence: its contents are unknown
                unfetched.add(place)
                raised.append((_at(message), message.offset() or 0, failure))
        self._apply_errors(records, raised, errors)
        if errors:
            # Records of a partition that has just been released are not used.
            records = [
                record for record in records if record.where not in self.assignment.released
            ]
        return records

    def _apply_errors(
        self,
        records: Sequence[Record],
        raised: Iterable[tuple[TopicPartition, int, Exception]],
        errors: Iterable[tuple[TopicPartition, int, KafkaError]],
    ) -> None:
        """Clear the errors that a batch shows to be over, then start those that it reports."""
        self.assignment.recheck_starts()
        if records and self.assignment.fetch_errors:
            self.assignment.fetched({record.where for record in records})
        for unreadable in raised:
            self._unreadable(*unreadable)
        for error in errors:
            self._on_error(*error)

    def _unreadable(self, at: TopicPartition, offset: int, error: Exception) -> None:
        """Stop a partition before a record that cannot be read.

        Raises:
            Exception: `error` itself, if it passes the fence.
            InvariantBroken: One line of code stopped three partitions within a minute.
        """
        self._unexpected.note(error, Step.READ)
        self._lines.note(error, at, self._clock.monotonic())
        self.assignment.read_failed(at, offset, described(error))

    def _on_error(self, at: TopicPartition, offset: int, error: KafkaError) -> None:
        code = error.code()
        if code in OFFSETS_GONE:
            cut = cut_of(error)
            if cut is not None:
                self._logger.warning("partition.truncated", **at._asdict(), detail=error.str())
            self.assignment.vanished(at, offset, cut)
        elif code in TOPIC_GONE:
            self._logger.warning("topic.gone", topic=at.topic, detail=error.str())
            self._next_look_up = 0.0
        elif code in FORBIDDEN:
            raise translated(KafkaException(error), "records cannot be read")
        elif code == KafkaError._FATAL or error.fatal():  # noqa: SLF001
            raise_fatal(error)
        elif at in self.assignment.read:
            self.assignment.fetch_failed(at, offset, f"{error.str()} ({error.name()})")
        else:
            self._logger.warning("consumer.error", topic=at.topic, detail=error.str())


def raise_fatal(error: KafkaError) -> None:
    """Raise for an error that ends the client; return for any other. Called within a poll.

    Raises:
        DependencyUnavailable: The broker lost the group, which a new process creates again.
        ConfigurationError: The broker does not know the group protocol.
        InvariantBroken: Another fatal error, such as another member with the same instance id.
    """
    # Only the text names the cause of a fatal error.
    if error.code() == KafkaError.GROUP_ID_NOT_FOUND or _GROUP_LOST in error.str():
        raise DependencyUnavailable(
            "the broker lost the consumer group, from which the client cannot recover. Nothing is lost:"
            " restart the worker, and find out why the broker lost the group"
        )
    if error.code() in _NO_SUCH_PROTOCOL or "ConsumerGroupHeartbeat" in error.str():
        raise ConfigurationError(
            "the broker does not know the group protocol 'consumer' (KIP-848): set"
            " kafka.group_protocol to 'classic'"
        )
    if error.code() == KafkaError._FATAL or error.fatal():  # noqa: SLF001
        raise InvariantBroken(f"the group member failed: {error.str()} ({error.name()})")


def cut_of(error: KafkaError) -> int | None:
    """Return where brokers cut a log while it was read; negative: below its start. None: they did not."""
    if _TRUNCATED not in error.str():
        return None
    found = _CUT_AT.search(error.str())
    return -1 if found is None else int(found[1])


def _at(message: Message) -> TopicPartition:
    return TopicPartition(message.topic() or "", message.partition() or 0)
