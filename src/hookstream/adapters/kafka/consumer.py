"""A member of a consumer group that returns records on request and notifies of its partitions.

This is its side on the event loop: requests go to the consumer thread, and each batch of records comes
back with one call on the loop. A record of a partition that was released in between is never handed out.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from confluent_kafka import Consumer, KafkaError
from confluent_kafka import TopicPartition as KafkaPartition

from hookstream.adapters.kafka.client import (
    ClientSettings,
    Properties,
    consumer_properties,
    opened,
)
from hookstream.adapters.kafka.consumer_thread import ConsumerThread, raise_fatal
from hookstream.adapters.kafka.loop_bridge import LoopBridge
from hookstream.adapters.kafka.offsets import place_of
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import Record, TopicPartition
from hookstream.core.offsets.commit_metadata import CommitPosition
from hookstream.core.offsets.start import StartPolicy
from hookstream.errors import ConfigurationError, HookstreamError, InvariantBroken
from hookstream.pipeline.ports import AssignmentListener, Clock, Logger

Pick: TypeAlias = Callable[[Iterable[str]], list[str]]
"""Chooses from the names of the cluster's topics."""

_CLOSE_SECONDS = 10.0
_SKIPPED = 1_000
"""The most skipped records that are remembered; the oldest is dropped first."""


class KafkaSource:
    """A RecordSource, made and used on the loop; everything that may block happens on its consumer thread.

    Args:
        client: librdkafka's settings.
        group: The consumer group.
        protocol: `consumer` (KIP-848) or `classic` (cooperative-sticky).
        instance_id: A name that stays over restarts (static membership); with `classic` only.
        topics: Chooses the topics to read, at every look-up and on the consumer thread.
        starts: Distinguishes a first start from lost offsets; called on the loop.
        logger: The log, written from the consumer thread too.
        clock: Paces look-ups, and gives `starts` the present time.

    Raises:
        ConfigurationError: The client refuses its settings, or static membership is set with a
            protocol that does not support it.
    """

    def __init__(
        self,
        client: ClientSettings,
        group: str,
        *,
        protocol: str,
        instance_id: str | None,
        topics: Pick,
        starts: StartPolicy,
        logger: Logger,
        clock: Clock,
    ) -> None:
        self._group = group
        self._listener: AssignmentListener
        """Given to `start`, since the listener is made with this source."""
        self._starts = starts
        self._logger = logger
        self._clock = clock
        self._skipped: dict[tuple[TopicPartition, int], None] = {}
        """Records that operators skipped. Written on the loop, read by the consumer thread too."""
        self._bridge = LoopBridge(asyncio.get_running_loop(), self._listener_failed)
        properties = consumer_properties(client, group, logger) | _membership(
            protocol, instance_id
        )
        properties |= {"on_commit": self._on_commit, "error_cb": raise_fatal}
        self._thread = ConsumerThread(
            opened(Consumer, properties),
            topics,
            self,
            self._bridge,
            logger,
            clock,
            self._skipped,
            group=group,
        )
        # The following belongs to the loop.
        self._assigned: set[TopicPartition] = set()
        self.stopped: dict[TopicPartition, str] = {}
        """The assigned partitions that are not read, and the remedy for each."""
        self._ready: list[Record] = []
        self._asked = False
        self._waiter: asyncio.Future[None] | None = None
        self._error: HookstreamError | None = None
        self._closed = False
        self._distrusted = False
        self._bare = False
        """Commit offsets without metadata: the brokers' bound on it is too low."""

    @property
    def turned_at(self) -> float:
        """When the consumer thread last began an iteration, monotonic seconds."""
        return self._thread.turned_at

    def open_transaction_seconds(self) -> float:
        """Return for how long an open transaction of a producer has hidden records."""
        since = self._thread.open_transaction_since
        return 0.0 if since is None else self._clock.monotonic() - since

    @property
    def unread(self) -> int:
        """The number of partitions that return nothing although they have records, as logged."""
        return len(self._thread.stalls.stalled)

    @property
    def exist(self) -> int:
        """As RecordSource says."""
        return self._thread.exist

    async def start(self, listener: AssignmentListener) -> None:
        """Begin to join the group, and notify `listener` of partitions from then on."""
        self._listener = listener
        self._thread.start()

    async def close(self, seconds: float = _CLOSE_SECONDS) -> bool:
        """Release every partition as on a revocation, leave the group and end the thread.

        Returns:
            Whether the thread ended within so many seconds; otherwise it is abandoned.
        """
        self._closed = True
        if self._thread.is_alive():
            self._thread.end()
            await asyncio.to_thread(self._thread.join, seconds)
            if self._thread.is_alive():
                self._logger.warning("consumer.close_hangs", group=self._group)
        return not self._thread.is_alive()

    async def take(self, most: int) -> Sequence[Record]:
        """As RecordSource says.

        Raises:
            HookstreamError: The thread ended; raised by this call and every later one.
        """
        if not self._ready and self._error is None:
            # A cancelled take leaves its request behind: its answer serves this one.
            if not self._asked:
                self._asked = True
                self._thread.request(most)
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self._error is not None:
            raise self._error
        taken = self._ready
        self._ready = taken[most:]
        return taken[:most] if self._ready else taken

    def commit(self, offsets: Mapping[TopicPartition, CommitPosition]) -> None:
        """As RecordSource says."""
        assigned = {at: position for at, position in offsets.items() if at in self._assigned}
        if assigned and not (self._closed or self._distrusted or self._error is not None):
            self._thread.commit(self._fit(assigned))

    def pause(self, partition: TopicPartition) -> None:
        """As RecordSource says."""
        if partition in self._assigned and not self._closed:
            self._thread.pause(partition)

    def resume(self, partition: TopicPartition) -> None:
        """As RecordSource says."""
        if partition in self._assigned and not self._closed:
            self._thread.resume(partition)

    def distrust(self) -> None:
        """Commit nothing more, since settled offsets are no longer reliable."""
        self._distrusted = True
        self._thread.assignment.commits.forget()

    def refresh_now(self) -> None:
        """For tests: look for new topics at once, not in up to ten seconds."""
        self._thread.order(self._thread.look_up)

    def start_partition(
        self, partition: TopicPartition, at: "str | Millis", *, blocked: bool = False
    ) -> None:
        """Resume a stopped partition at `earliest`, `latest` or an append time.

        Nothing happens if it is not assigned here, or neither stopped nor about to stop.

        Args:
            partition: The partition to resume.
            at: Where it resumes.
            blocked: It is blocked by a record in progress, although its records can be fetched.
        """
        if partition in self._assigned or partition in self.stopped:
            assignment = self._thread.assignment
            self._thread.order(lambda: assignment.start_at(partition, at, blocked=blocked))

    def skip(self, partition: TopicPartition, offset: int) -> None:
        """Skip the record at `offset` if it is the one that cannot be fetched or read, now or later."""
        self._skipped[partition, offset] = None
        if len(self._skipped) > _SKIPPED:
            del self._skipped[next(iter(self._skipped))]
        self._thread.order(lambda: self._thread.assignment.skip(partition, offset))

    # As ConsumerListener says, on the loop.

    def on_records(self, records: list[Record]) -> None:
        """A request was answered."""
        self._asked = False
        self._ready.extend(records)
        self._wake()

    def on_assigned(self, positions: Mapping[TopicPartition, CommitPosition]) -> None:
        """Partitions were assigned."""
        self._assigned.update(positions)
        for partition in positions:
            self.stopped.pop(partition, None)
        self._listener.on_assigned(positions)

    async def on_revoked(
        self, partitions: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, CommitPosition]:
        """Partitions are being revoked; return the offsets that may be committed."""
        read = self._let_go(partitions)
        if not read or self._distrusted or self._error is not None:
            return {}
        try:
            return self._fit(await self._listener.on_revoked(read))
        except Exception as error:  # noqa: BLE001  the group must not wait for it
            self._listener_failed(error)
            return {}

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Partitions were lost."""
        read = self._let_go(partitions)
        if read:
            self._listener.on_lost(read)

    def on_commit_failed(self, partitions: Sequence[TopicPartition]) -> None:
        """The last commit for these partitions failed."""
        self._listener.on_commit_failed(partitions)

    def on_gap(self, partition: TopicPartition, first: int, next_offset: int) -> None:
        """Records are gone."""
        self._listener.on_gap(partition, first, next_offset)

    def on_stopped(self, partition: TopicPartition, remedy: str) -> None:
        """An assigned partition has stopped."""
        self.stopped[partition] = remedy
        self._listener.on_stopped(partition, remedy)

    def on_started(self, partition: TopicPartition, begin: int) -> None:
        """An operator resumes a stopped partition at an offset."""
        self._listener.on_started(partition, begin)

    def on_resumed(self, partition: TopicPartition) -> None:
        """A stopped partition is read again."""
        self.stopped.pop(partition, None)

    def on_failed(self, error: HookstreamError) -> None:
        """The consumer thread ended."""
        self._error = error
        self._wake()

    async def start_windows(
        self, topics: Iterable[str]
    ) -> dict[str, tuple[Millis, Millis] | None]:
        """Return `StartPolicy.telltale` of each topic now."""
        now = self._clock.now()
        return {topic: self._starts.telltale(topic, now) for topic in topics}

    def _listener_failed(self, error: Exception) -> None:
        broken = InvariantBroken(f"the listener of {self._group} failed: {error!r}")
        broken.__cause__ = error
        self.on_failed(broken)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _let_go(self, partitions: Sequence[TopicPartition]) -> list[TopicPartition]:
        """Forget partitions and return those that were read."""
        gone = set(partitions)
        read = sorted(gone & self._assigned)
        self._assigned -= gone
        for partition in gone:
            self.stopped.pop(partition, None)
        self._ready = [record for record in self._ready if record.where not in gone]
        return read

    def _fit(
        self, offsets: Mapping[TopicPartition, CommitPosition]
    ) -> Mapping[TopicPartition, CommitPosition]:
        """Drop the metadata if the brokers refuse it, so that no commit fails because of it."""
        if not self._bare:
            return offsets
        return {at: CommitPosition(position.offset) for at, position in offsets.items()}

    def _on_commit(self, error: KafkaError | None, partitions: list[KafkaPartition]) -> None:
        """Handle a commit's result, on the consumer thread."""
        self._thread.commit_answered({place_of(at): at.offset for at in partitions})
        failed = {
            place_of(at): why
            for at in partitions
            if (why := at.error or error) is not None and why.code() != KafkaError._NO_OFFSET  # noqa: SLF001
        }
        if not failed:
            return
        why = next(iter(failed.values()))
        self._logger.warning("commit.failed", group=self._group, detail=why.str())
        if any(each.code() == KafkaError.OFFSET_METADATA_TOO_LARGE for each in failed.values()):
            self._bare = True
        self._bridge.post(self.on_commit_failed, list(failed))


def _membership(protocol: str, instance_id: str | None) -> Properties:
    if protocol == "classic":
        static: Properties = {} if instance_id is None else {"group.instance.id": instance_id}
        return static | {
            "group.protocol": "classic",
            "partition.assignment.strategy": "cooperative-sticky",
        }
    if instance_id is not None:
        # After a crash, the restarted member would be refused until the old session expires.
        raise ConfigurationError(
            "kafka.group_instance_id needs kafka.group_protocol = 'classic': with 'consumer' a"
            " restarted worker is refused for as long as its old session lives"
        )
    return {"group.protocol": protocol}
