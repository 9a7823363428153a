"""Commits a consumer's last offset of each partition, one commit at a time.

The client retries a commit automatically if the coordinator is new or slow. If a second commit were in
flight by then, the older one could overwrite the younger and move offsets back.
"""

import threading
from collections.abc import Callable, Iterable, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition

from hookstream.adapters.kafka.offsets import checked
from hookstream.core.model.record import TopicPartition
from hookstream.core.offsets.commit_metadata import CommitPosition
from hookstream.pipeline.ports import Clock

_ANSWER_SECONDS = 30.0
"""After so long without an answer the next commit is sent anyway: one lost answer must not end
all commits."""

Refused = Callable[[KafkaError, list[TopicPartition]], None]
"""Called with the partitions of a commit that the client refused."""


class Commits:
    """The commits of one consumer. All but `settled` and `forget` belong to its thread."""

    def __init__(self, consumer: Consumer, refused: Refused, clock: Clock) -> None:
        self._consumer = consumer
        self._refused = refused
        self._clock = clock
        self._under_way: dict[TopicPartition, int] = {}
        """The offsets of the commit that was sent and is not answered."""
        self._sent_at = 0.0
        self._lock = threading.Lock()
        self._settled: dict[TopicPartition, CommitPosition] = {}
        """The next offsets to commit, the last of each partition. Shared, under `_lock`."""

    def settled(self, offsets: Mapping[TopicPartition, CommitPosition]) -> None:
        """Commit offsets with the next `send`, unless later ones replace them.

        Not committed here: the client blocks a commit while another thread polls.
        """
        with self._lock:
            self._settled.update(offsets)

    def forget(self, partitions: Iterable[TopicPartition] | None = None) -> None:
        """Drop the offsets to commit of these partitions; None: of all."""
        with self._lock:
            for at in list(self._settled) if partitions is None else partitions:
                self._settled.pop(at, None)

    def take(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, CommitPosition]:
        """Remove and return the offsets to commit of these partitions."""
        with self._lock:
            return {at: self._settled.pop(at) for at in partitions if at in self._settled}

    def send(self, of: Iterable[TopicPartition]) -> None:
        """Commit the settled offsets of these partitions and drop all others, without waiting.

        While a commit is in flight, all offsets stay for the next call.
        """
        now = self._clock.monotonic()
        if self._under_way and now - self._sent_at < _ANSWER_SECONDS:
            return
        with self._lock:
            settled, self._settled = self._settled, {}
        mine = set(of)
        offsets = {at: position for at, position in settled.items() if at in mine}
        if not offsets:
            return
        try:
            self._consumer.commit(offsets=_kafka_offsets(offsets), asynchronous=True)
        except KafkaException as error:
            self._refused(error.args[0], list(offsets))
            return
        self._under_way = {at: position.offset for at, position in offsets.items()}
        self._sent_at = now

    def answered(self, offsets: Mapping[TopicPartition, int]) -> None:
        """A commit succeeded or failed: the next one may be sent."""
        if offsets == self._under_way:
            self._under_way = {}

    def send_last(self, offsets: Mapping[TopicPartition, CommitPosition]) -> None:
        """Commit the last offsets of partitions that are being released, even if a commit is in flight.

        It does not wait: the client does not complete the revocation before the broker has answered, and
        its commit callback gets the result. If an older commit is in flight and retried, it may be applied
        last: then records settled in between are delivered again.

        Raises:
            KafkaException: The client refuses the commit.
        """
        if offsets:
            self._consumer.commit(offsets=_kafka_offsets(offsets), asynchronous=True)

    def commit_now(self, offsets: Mapping[TopicPartition, CommitPosition]) -> None:
        """Commit start offsets and wait for the broker.

        Raises:
            KafkaException: The broker refused, or did not answer.
        """
        if offsets:
            asked = _kafka_offsets(offsets)
            checked(self._consumer.commit(offsets=asked, asynchronous=False) or ())


def _kafka_offsets(offsets: Mapping[TopicPartition, CommitPosition]) -> list[KafkaPartition]:
    """Return offsets and metadata as the client commits them."""
    return [
        KafkaPartition(at.topic, at.partition, position.offset, position.metadata)
        for at, position in offsets.items()
    ]
