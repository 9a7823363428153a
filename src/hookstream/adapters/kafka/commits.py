"""What a member commits: the last of each partition, and one commit at a time.

The client tries a commit again by itself where the coordinator is new or slow. Were a second one on
its way by then, the older could land upon the younger and take offsets back.
"""

import threading
from collections.abc import Callable, Iterable, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition

from hookstream.core.model.record import TopicPartition
from hookstream.core.offsets.commit_metadata import CommitPosition
from hookstream.pipeline.ports import Clock

_ANSWER_SECONDS = 30.0
"""After so long without an answer the next commit is made all the same: a client that swallowed one
answer must not end all commits."""

Refused = Callable[[KafkaError, list[TopicPartition]], None]
"""Hears that the client did not take a commit, and of which partitions."""


class Commits:
    """The commits of one member. All but `settled` and `forget` belongs to its thread."""

    def __init__(self, consumer: Consumer, refused: Refused, clock: Clock) -> None:
        self._consumer = consumer
        self._refused = refused
        self._clock = clock
        self._under_way: dict[TopicPartition, int] = {}
        """What was sent and is not answered."""
        self._sent_at = 0.0
        self._lock = threading.Lock()
        self._settled: dict[TopicPartition, CommitPosition] = {}
        """What is to be committed, the last of each partition. Shared, under `_lock`."""

    def settled(self, offsets: Mapping[TopicPartition, CommitPosition]) -> None:
        """Have offsets committed by `send`, unless later ones come before.

        Not committed here: the client makes a commit wait for as long as another thread polls.
        """
        with self._lock:
            self._settled.update(offsets)

    def forget(self, partitions: Iterable[TopicPartition] | None = None) -> None:
        """Commit nothing of what was told as settled of these partitions; None: of any."""
        with self._lock:
            for at in list(self._settled) if partitions is None else partitions:
                self._settled.pop(at, None)

    def take(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, CommitPosition]:
        """Return what waits to be committed of these partitions, which is the caller's from now on."""
        with self._lock:
            return {at: self._settled.pop(at) for at in partitions if at in self._settled}

    def send(self, of: Iterable[TopicPartition]) -> None:
        """Commit what was settled of these partitions and forget the rest, without waiting for it.

        While a commit is under way all of it stays for the next call.
        """
        now = self._clock.monotonic()
        if self._under_way and now - self._sent_at < _ANSWER_SECONDS:
            return
        with self._lock:
            settled, self._settled = self._settled, {}
        mine = set(of)
        offsets = {at: progress for at, progress in settled.items() if at in mine}
        if not offsets:
            return
        try:
            self._consumer.commit(offsets=_kafka_offsets(offsets), asynchronous=True)
        except KafkaException as error:
            self._refused(error.args[0], list(offsets))
            return
        self._under_way = {at: progress.offset for at, progress in offsets.items()}
        self._sent_at = now

    def answered(self, offsets: Mapping[TopicPartition, int]) -> None:
        """A commit was answered, well or not: the next one may be sent."""
        if offsets == self._under_way:
            self._under_way = {}

    def give_up(self, offsets: Mapping[TopicPartition, CommitPosition]) -> None:
        """Commit the last of partitions that are being given up, whatever is under way.

        Not waited for: the client itself does not complete the revocation before the broker
        answered, and how the commit went is told to its callback. An older commit that is under way
        and tried again may land last: then what was settled in between is only delivered again.

        Raises:
            KafkaException: The client does not take it.
        """
        if offsets:
            self._consumer.commit(offsets=_kafka_offsets(offsets), asynchronous=True)

    def commit_now(self, offsets: Mapping[TopicPartition, CommitPosition]) -> None:
        """Commit where a partition begins, and wait for it.

        Raises:
            KafkaException: The broker refused, or did not answer.
        """
        if offsets:
            done = self._consumer.commit(offsets=_kafka_offsets(offsets), asynchronous=False)
            for partition in done or ():
                if partition.error is not None:
                    raise KafkaException(partition.error)


def _kafka_offsets(offsets: Mapping[TopicPartition, CommitPosition]) -> list[KafkaPartition]:
    """Return offsets and notes as the client commits them."""
    return [
        KafkaPartition(at.topic, at.partition, progress.offset, progress.note)
        for at, progress in offsets.items()
    ]
