"""The thread of one group member: polls when asked, and otherwise often enough to stay a member.

Only here is the consumer polled. Between requests the thread waits; when none has come for a second
it pauses what is read and polls all the same, so that rebalances are served and the group does not
throw the member out.
"""

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
from hookstream.adapters.kafka.client import OFFSETS_GONE, Trouble, translated
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
from hookstream.pipeline.ports import Clock, Journal

_POLL_SECONDS = 0.2
_REST_SECONDS = 1.0
"""Without a request for so long, the member rests."""
_CHORES_SECONDS = 1.0
_LOOK_UP_SECONDS = 10.0
_REMIND_SECONDS = 60.0
_HANGS_SECONDS = 30.0
"""An upstream transaction that takes longer is said to hang."""

_TOPIC_GONE = (
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
)
_NO_SUCH_PROTOCOL = (
    KafkaError.UNSUPPORTED_VERSION,
    KafkaError._UNSUPPORTED_FEATURE,  # noqa: SLF001
)
_GROUP_LOST = "group id does not exist"
"""Seen with Kafka 4 where a single broker had been killed again and again, and was loading its groups."""
_FORBIDDEN = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError._AUTHENTICATION,  # noqa: SLF001
    KafkaError.SASL_AUTHENTICATION_FAILED,
)
_OF_NO_RECORD = {*OFFSETS_GONE, *_TOPIC_GONE, *_FORBIDDEN, KafkaError._FATAL}  # noqa: SLF001


class ConsumerThread:
    """One consumer and its thread. `run` is the thread; what stands above it is called on the loop."""

    def __init__(
        self,
        consumer: Consumer,
        pick: Callable[[Iterable[str]], list[str]],
        listener: ConsumerListener,
        loop: LoopBridge,
        journal: Journal,
        clock: Clock,
        skipped: Container[tuple[TopicPartition, int]] = (),
    ) -> None:
        self.assignment = Assignment(consumer, listener, loop, journal, clock, skipped)
        self._unexpected = Unexpected(journal)
        self._lines = StoppedLines()
        self._consumer = consumer
        self._pick = pick
        self._listener = listener
        self._loop = loop
        self._journal = journal
        self._clock = clock
        self._unknown = Trouble("topics.unknown", journal, clock)
        self._changed = threading.Condition()
        # Shared, under `_changed`.
        self._stopping = False
        self._request: int | None = None
        self._orders: deque[Callable[[], None]] = deque()
        self.turned_at = clock.monotonic()
        """When the thread last went round. Written by it, read by whoever asks for its health."""
        self.hidden_since: float | None = None
        """Since when an open transaction hides the records of a partition; None: none does."""
        self.exist = 0
        """Partitions of the topics that are picked. Written by the thread, read by whoever asks."""
        self.silence = StallDetector(journal, clock)
        """Which partitions give nothing though they have records."""
        # The thread's own.
        self._drained = False
        """All that was ready was taken, at least once since the ends were looked at."""
        self._transactions = Stalls()
        self._hangs = False
        self._subscribed: list[str] = []
        self._answered_at = clock.monotonic()
        self._next_chores = 0.0
        self._next_look_up = 0.0
        self._next_reminder = 0.0

    def request(self, most: int) -> None:
        """Ask for records, `most` at most; `on_records` answers."""
        with self._changed:
            self._request = most
            self._changed.notify()

    def order(self, order: Callable[[], None]) -> None:
        """Have something done on the thread."""
        with self._changed:
            self._orders.append(order)
            self._changed.notify()

    def commit(self, offsets: Mapping[TopicPartition, CommitPosition]) -> None:
        """Have offsets committed, after the poll that is under way."""
        self.assignment.commits.settled(offsets)
        self.order(self.assignment.commit_settled)

    def distrust(self) -> None:
        """Commit nothing of what was told as settled."""
        self.assignment.commits.forget()

    def stop(self) -> None:
        """Begin to end."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def run(self) -> None:
        """Serve until stopped, then leave the group. What ends it otherwise is told."""
        try:
            while not self._stopping:
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
        # A close can hang for ever while brokers misbehave: whoever waits for this thread gives up
        # then. A client that lost its broker complains once more; that was told already.
        try:
            self._consumer.close()
        except KafkaException:
            pass
        except Exception as error:  # noqa: BLE001  a callback raised it, and nobody is above
            self._journal.error("consumer.close_failed", detail=repr(error))

    def look_up(self) -> None:
        """Look for topics and subscribe to those that are picked, where they changed."""
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
        self._look_at_ends(now)
        if topics == self._subscribed:
            return
        self._subscribed = topics
        self._journal.info("consumer.subscribed", topics=", ".join(topics))
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

    def _end_by(self, error: HookstreamError) -> None:
        """Tell what ended the thread, and commit what is settled: no revocation does it then."""
        self._loop.post(self._listener.on_failed, error)
        self.assignment.commit_settled()

    def commit_answered(self, offsets: Mapping[TopicPartition, int]) -> None:
        """A commit was answered within a poll: commit what waited for it."""
        self.assignment.commits.answered(offsets)
        self.order(self.assignment.commit_settled)

    def _look_at_ends(self, now: float) -> None:
        """Look for partitions that stand still before their ends."""
        try:
            found = ends(self._consumer, list(self.assignment.read))
        except KafkaException:
            # What is known stays known; that the broker does not answer is said by others.
            self.silence.not_looked()
            return
        self._look_for_transactions(found, now)
        drained, self._drained = self._drained, False
        stable = {at: end.stable for at, end in found.items()}
        told = [at for at in self.silence.told if at in self.assignment.read]
        behind = {
            at: next_offset
            for at in told
            if (next_offset := self.assignment.next_offset(at)) < stable.get(at, next_offset + 1)
        }
        places = self.assignment.unread(stable if drained else {})
        for at in self.silence.look(places, behind):
            self.assignment.put_back(at)

    def _look_for_transactions(self, found: Mapping[TopicPartition, End], now: float) -> None:
        """Look for a last stable offset that stands still below the log's end."""
        hidden = {at: end.stable for at, end in found.items() if end.stable < end.high}
        stands = self._transactions.look(hidden, now)
        self.hidden_since = None if stands is None else now - stands.seconds
        hangs = stands is not None and stands.seconds >= _HANGS_SECONDS
        if stands is not None and hangs and not self._hangs:
            self._journal.warning(
                "transaction.hangs",
                **stands.where._asdict(),
                offset=str(stands.at),
                seconds=round(stands.seconds),
            )
        self._hangs = hangs

    def _serve(self) -> None:
        """Do what is due, then answer a request or rest."""
        self._do_chores(self._clock.monotonic())
        most = self._next_request()
        while self._orders:
            self._orders.popleft()()
        if most is not None:
            self.assignment.rest(resting=False)
            self._loop.post(self._listener.on_records, self._take(most))
            self._answered_at = self._clock.monotonic()
        elif self.assignment.resting:
            self._put_back(self._consumer.poll(0))
        elif self._clock.monotonic() >= self._answered_at + _REST_SECONDS:
            # However many orders came since: only requests have the group served.
            self.assignment.rest(resting=True)

    def _do_chores(self, now: float) -> None:
        if now < self._next_chores:
            return
        self._next_chores = now + _CHORES_SECONDS
        if now >= self._next_look_up:
            self.look_up()
        if now >= self._next_reminder:
            self._next_reminder = now + _REMIND_SECONDS
            self.assignment.remind()
        self.assignment.commit_settled()
        self.assignment.place()
        self.assignment.try_again()

    def _next_request(self) -> int | None:
        """Wait for a request or an order, and return what is requested."""
        seconds = _POLL_SECONDS if self.assignment.resting else _REST_SECONDS
        with self._changed:
            self._changed.wait_for(
                lambda: self._request is not None or self._orders or self._stopping, seconds
            )
            most, self._request = self._request, None
            return most

    def _take(self, most: int) -> list[Record]:
        self.assignment.left.clear()
        first = self._consumer.poll(_POLL_SECONDS)
        if first is None:
            self._drained = True
            return []
        messages = [first]
        if most > 1:
            messages += self._consumer.consume(most - 1, 0)
        self._drained |= len(messages) < most
        if self.assignment.left or self.assignment.parked:
            messages = [message for message in messages if self._is_read(message)]
            self._begin_again()
        return self._records(messages)

    def _put_back(self, message: Message | None) -> None:
        """Put back a record that came although everything is paused: it is read again later."""
        if message is None:
            return
        at = _at(message)
        if message.error() is not None:
            self._records([message])
        elif at in self.assignment.read:
            self.assignment.put_back(at)

    def _is_read(self, message: Message) -> bool:
        at = _at(message)
        return message.error() is not None or (
            at in self.assignment.read and at not in self.assignment.left
        )

    def _begin_again(self) -> None:
        """Seat again what was given up and came back while one batch was taken.

        Records of both times may be in the batch, and nothing tells them apart: none is used.
        """
        assignment = self.assignment
        back = {at: assignment.read[at] for at in assignment.left if at in assignment.read}
        assignment.left.clear()
        if back:
            assignment.seat(back)

    def _records(self, messages: Sequence[Message]) -> list[Record]:
        records: list[Record] = []
        errors = []
        raised: list[tuple[TopicPartition, int, Exception]] = []
        hindered: set[tuple[str | None, int | None]] = set()
        admits = self.assignment.admits
        for message in messages:
            place = message.topic(), message.partition()
            error = message.error()
            if error is not None:
                at = _at(message)
                errors.append((at, message.offset() or 0, error))
                if at in self.assignment.read and error.code() not in _OF_NO_RECORD:
                    hindered.add(place)
                continue
            # Behind a batch that it cannot read the client may go on.
            if place in hindered or not admits(place, message.offset()):  # type: ignore[arg-type]
                continue
            try:
                records.append(record_of(message))
            except Exception as failure:  # noqa: BLE001  the fence: nobody can tell what it holds
                hindered.add(place)
                raised.append((_at(message), message.offset() or 0, failure))
        self._judge(records, raised, errors)
        if errors:
            # What came of a partition that has just been given up is not used.
            records = [record for record in records if record.where not in self.assignment.left]
        return records

    def _judge(
        self,
        records: Sequence[Record],
        raised: Iterable[tuple[TopicPartition, int, Exception]],
        errors: Iterable[tuple[TopicPartition, int, KafkaError]],
    ) -> None:
        """End the faults that a batch shows to be over, and only then begin those that it shows."""
        self.assignment.look_again()
        if records and self.assignment.faults:
            self.assignment.fetched({record.where for record in records})
        for unreadable in raised:
            self._unreadable(*unreadable)
        for error in errors:
            self._on_error(*error)

    def _unreadable(self, at: TopicPartition, offset: int, error: Exception) -> None:
        """Stop a partition before a record that makes the reader raise.

        Raises:
            Exception: `error` itself, where it passes the fence.
            InvariantBroken: One line of code stopped three partitions within a minute.
        """
        self._unexpected.note(error, Step.READ)
        self._lines.note(error, at, self._clock.monotonic())
        self.assignment.stop_before(at, offset, described(error))

    def _on_error(self, at: TopicPartition, offset: int, error: KafkaError) -> None:
        code = error.code()
        if code in OFFSETS_GONE:
            self.assignment.vanished(at, offset)
        elif code in _TOPIC_GONE:
            self._journal.warning("topic.gone", topic=at.topic, detail=error.str())
            self._next_look_up = 0.0
        elif code in _FORBIDDEN:
            raise ConfigurationError(f"records cannot be read: {error.str()} ({error.name()})")
        elif code == KafkaError._FATAL or error.fatal():  # noqa: SLF001
            raise_fatal(error)
        elif at in self.assignment.read:
            self.assignment.hinder(at, offset, f"{error.str()} ({error.name()})")
        else:
            self._journal.warning("consumer.error", topic=at.topic, detail=error.str())


def raise_fatal(error: KafkaError) -> None:
    """Raise for an error after which the client can do nothing more; return for any other.

    The client calls this within a poll.

    Raises:
        DependencyUnavailable: The broker lost the group, which a new process creates again.
        ConfigurationError: The broker does not know the group protocol.
        InvariantBroken: Another fatal error, such as another member with the same instance id.
    """
    # Only the text tells the cause of a fatal error.
    if error.code() == KafkaError.GROUP_ID_NOT_FOUND or _GROUP_LOST in error.str():
        raise DependencyUnavailable(
            "the broker does not know the consumer group any more, which its client cannot mend:"
            " nothing is lost, start the worker again (and look at why the broker lost it)"
        )
    if error.code() in _NO_SUCH_PROTOCOL or "ConsumerGroupHeartbeat" in error.str():
        raise ConfigurationError(
            "the broker does not know the group protocol 'consumer' (KIP-848): set"
            " kafka.group_protocol to 'classic'"
        )
    if error.code() == KafkaError._FATAL or error.fatal():  # noqa: SLF001
        raise InvariantBroken(f"the group member failed: {error.str()} ({error.name()})")


def _at(message: Message) -> TopicPartition:
    return TopicPartition(message.topic() or "", message.partition() or 0)
