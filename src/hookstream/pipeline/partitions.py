"""Gives each record that was taken a receipt, and releases its offset only when the receipt is settled.

A receipt counts the writes that must still become durable. Receipts of an assignment that has ended settle
nothing, because another member may have the partition.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, TypeAlias

from hookstream.core.model.instant import Millis, is_plausible
from hookstream.core.model.listing import partition_ranges
from hookstream.core.model.record import Record, TopicPartition
from hookstream.core.offsets.commit_metadata import CommitPosition, decode_metadata, metadata_room
from hookstream.core.offsets.pauses import PauseReason, Pauses
from hookstream.core.offsets.tracker import OffsetTracker
from hookstream.pipeline.defects import Step, Unexpected
from hookstream.pipeline.ports import Logger, Metrics, RecordSource, Span

_REVOKE_WAIT = 0.4
"""Seconds for which attempts in flight may settle before a partition is revoked. The whole revocation may take
half a second, since the partitions that stay wait for it."""

_REVOKE_STEP = 0.01

Gap: TypeAlias = tuple[int, int]
"""The first missing offset, and the first one after the gap."""

_NAMED = 48
"""The most ranges of partitions in one log line."""


class Receipt:
    """A record that was taken and is to be settled."""

    __slots__ = ("_generation", "_left", "_partitions", "record", "size", "span", "where")

    def __init__(
        self, record: Record, where: TopicPartition, partitions: "Partitions", generation: int
    ) -> None:
        """Start with one reference, the intake's."""
        self.record = record
        self.where = where
        self.size = record.size
        """Bytes of the record, counted once for all its deliveries."""
        self.span: Span | None = None
        self._partitions = partitions
        self._generation = generation
        self._left = 1

    @property
    def assigned(self) -> bool:
        """False once the partition was revoked or lost: nothing may be settled then."""
        return self._partitions.generation(self.where) == self._generation

    @property
    def may_start(self) -> bool:
        """False as soon as the partition is being revoked: no new work starts with the record then."""
        tracker = self._partitions.taking.get(self.where)
        return tracker is not None and tracker.generation == self._generation

    def retain(self) -> None:
        """Add a reference, for another write that must become durable."""
        self._left += 1

    def release(self) -> None:
        """Release one reference; the last one releases the offset."""
        self._left -= 1
        if self._left:
            return
        if self.span is not None:
            self.span.end()
        if self.assigned:
            self._partitions.settled(self)

    def block(self) -> None:
        """Pause the partition, because a required write or step fails."""
        if self.assigned:
            self._partitions.pause(self.where, PauseReason.BLOCKED)

    def unblock(self) -> None:
        """Resume the partition, once nothing else blocks it."""
        if self.assigned:
            self._partitions.resume(self.where, PauseReason.BLOCKED)


class PartitionsListener(Protocol):
    """Is notified of changes of one group's partitions. Called on the event loop."""

    def on_gone(self, partitions: frozenset[TopicPartition]) -> None:
        """Partitions are being revoked, or were lost: drop their queued work."""

    def on_gap(self, partitions: "Partitions", where: TopicPartition, gap: Gap) -> None:
        """A gap must be published; nothing is committed until `partitions.gap_published`."""

    def on_stopped(self, where: TopicPartition) -> None:
        """An assigned partition stopped before it was read: an operator may have named its start."""

    def on_started(self, where: TopicPartition, begin: int) -> None:
        """An operator resumes a partition at `begin`: blocked records below it are skipped."""


class Partitions:
    """The partitions of one group that this worker owns, as the listener of its source.

    Args:
        source: Their consumer, which is started with these partitions as its listener.
        listener: Handles gaps, and partitions that are revoked, stop or resume.
        logger: The log.
        metrics: The counters.
    """

    def __init__(
        self,
        source: RecordSource,
        listener: PartitionsListener,
        logger: Logger,
        metrics: Metrics,
    ) -> None:
        self._source = source
        self._listener = listener
        self._logger = logger
        self._unexpected = Unexpected(logger)
        self._metrics = metrics
        self.taking: dict[TopicPartition, OffsetTracker] = {}
        """Trackers of the partitions that are ours and not being revoked."""
        self._trackers: dict[TopicPartition, OffsetTracker] = {}
        self._pauses = Pauses()
        self._unpublished: dict[TopicPartition, Gap] = {}
        """Gaps that are not published yet: a commit would pass over them silently."""
        self._generations = 0

    # As AssignmentListener says.

    def on_assigned(self, positions: Mapping[TopicPartition, CommitPosition]) -> None:
        """Track the partitions from their start positions, under a new generation."""
        self._generations += 1
        for where, (offset, metadata) in positions.items():
            settled = decode_metadata(metadata, offset)
            tracker = OffsetTracker(offset, self._generations, settled)
            if where in self._unpublished:
                tracker.never_committed()
            self._trackers[where] = self.taking[where] = tracker
        self._log("partitions.assigned", positions)

    async def on_revoked(
        self, partitions: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, CommitPosition]:
        """Drop their queued work, wait a moment, and return the positions to commit."""
        going = frozenset(self._trackers.keys() & partitions)
        for where in going:
            # Otherwise an attempt that starts during the wait would be cut off at its end, and made twice.
            self.taking.pop(where, None)
        self._listener.on_gone(going)
        try:
            await self._until_settled(going)
            room = metadata_room(len(self._trackers))
            published = going - self._unpublished.keys()
            return {where: self._trackers[where].position(room) for where in published}
        finally:
            # Whatever happens, the partitions are no longer ours.
            self._forget(going)
            self._log("partitions.revoked", going)

    async def _until_settled(self, going: frozenset[TopicPartition]) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_REVOKE_WAIT):
                while any(self._trackers[where].unsettled for where in going):  # noqa: ASYNC110
                    await asyncio.sleep(_REVOKE_STEP)

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Forget partitions that another member already has."""
        going = frozenset(self._trackers.keys() & partitions)
        self._listener.on_gone(going)
        self._forget(going)
        self._log("partitions.lost", going)

    def on_commit_failed(self, partitions: Sequence[TopicPartition]) -> None:
        """Include these partitions in the next commit."""
        for where in partitions:
            tracker = self._trackers.get(where)
            if tracker is not None:
                tracker.forget_commit()

    def on_gap(self, partition: TopicPartition, first: int, next_offset: int) -> None:
        """Count and report records that were gone before they were read."""
        self._metrics.gap(partition.topic, next_offset - first)
        self._logger.error("log.gap", **partition._asdict(), first=first, next=next_offset)
        tracker = self._trackers.get(partition)
        if tracker is not None:
            tracker.pass_over(first, next_offset)
        gap = self._unpublished[partition] = (first, next_offset)
        self._listener.on_gap(self, partition, gap)

    def gap_published(self, partition: TopicPartition, gap: Gap) -> None:
        """Allow commits of a partition: its gap is durable on the operations topic."""
        if self._unpublished.get(partition) == gap:
            del self._unpublished[partition]

    def is_unpublished(self, partition: TopicPartition, gap: Gap) -> bool:
        """Return whether a partition is not committed because its gap is not published yet."""
        return self._unpublished.get(partition) == gap

    def on_stopped(self, partition: TopicPartition, remedy: str) -> None:
        """Log that a partition has stopped, and how to resume it."""
        self._logger.error("partition.stopped", **partition._asdict(), remedy=remedy)
        if partition not in self._trackers:
            # For records that cannot be fetched, an earlier request does not count: it would skip others.
            self._listener.on_stopped(partition)

    def on_started(self, partition: TopicPartition, begin: int) -> None:
        """Skip blocked records below the offset at which an operator resumes a partition."""
        self._logger.warning("partition.started", **partition._asdict(), offset=begin)
        self._listener.on_started(partition, begin)

    def is_blocked(self, partition: TopicPartition) -> bool:
        """Return whether a partition is paused because one of its records can be neither written nor read."""
        return self._pauses.has(partition, PauseReason.BLOCKED)

    def _log(self, event: str, partitions: Collection[TopicPartition]) -> None:
        names = partition_ranges(partitions, _NAMED)
        self._logger.info(event, count=len(partitions), names=names)

    def _forget(self, partitions: frozenset[TopicPartition]) -> None:
        for where in partitions:
            del self._trackers[where]
            self.taking.pop(where, None)
            self._unpublished.pop(where, None)
        self._pauses.forget(partitions)

    # For intake and retrier.

    def receive(self, batch: Sequence[Record]) -> list[Receipt]:
        """Count a batch and return its receipts, without records that are settled or no longer ours."""
        for topic, count in Counter(record.topic for record in batch).items():
            self._metrics.records(topic, count)
        receipts: list[Receipt] = []
        for record in batch:
            where = record.where
            tracker = self.taking.get(where)
            if tracker is not None and tracker.receive(record.offset, record.timestamp):
                receipts.append(Receipt(record, where, self, tracker.generation))
        return receipts

    def generation(self, where: TopicPartition) -> int | None:
        """Return the present assignment generation of a partition; None: it is not ours."""
        tracker = self._trackers.get(where)
        return None if tracker is None else tracker.generation

    # For receipts.

    def settled(self, receipt: Receipt) -> None:
        """Release the offset of a receipt whose partition is assigned: the only call of `OffsetTracker.settle`."""
        self._trackers[receipt.where].settle(receipt.record.offset)

    # Pauses.

    def pause(self, where: TopicPartition, reason: PauseReason) -> None:
        """Stop fetching a partition until each of its reasons is removed."""
        self._pauses.add(where, reason)
        self._fetch(where)

    def resume(self, where: TopicPartition, reason: PauseReason) -> None:
        """Remove a reason; the partition is fetched again when none is left."""
        if self._pauses.remove(where, reason):
            self._fetch(where)

    def _fetch(self, where: TopicPartition) -> None:
        try:
            (self._source.pause if where in self._pauses else self._source.resume)(where)
        except Exception as error:  # noqa: BLE001  budget and waiting room bound what is read meanwhile
            self._unexpected.note(error, Step.NOTIFY)

    # Commits and metrics.

    def commit(self) -> None:
        """Commit the offsets settled since the last call.

        A partition whose settled offsets no longer fit into the commit's metadata is paused until they do:
        offsets that the metadata cannot hold are delivered again after a crash.
        """
        room = metadata_room(len(self._trackers))
        due: dict[TopicPartition, CommitPosition] = {}
        crowded = self._pauses.having(PauseReason.CROWDED)
        for where, tracker in self._trackers.items():
            position = None if where in self._unpublished else tracker.to_commit(room)
            if position is not None:
                due[where] = position
            if tracker.crowded != (where in crowded):
                (self.pause if tracker.crowded else self.resume)(where, PauseReason.CROWDED)
        if due:
            self._source.commit(due)

    @property
    def owned(self) -> frozenset[TopicPartition]:
        """The partitions that are ours now."""
        return frozenset(self._trackers)

    @property
    def ours(self) -> int:
        """How many partitions are ours now."""
        return len(self._trackers)

    @property
    def exist(self) -> int:
        """How many partitions the topics have, over all members of the group; 0: not known yet."""
        return self._source.exist

    @property
    def blocked(self) -> int:
        """How many partitions are paused because a record can be neither written nor read."""
        return len(self._pauses.having(PauseReason.BLOCKED))

    @property
    def unsettled(self) -> int:
        """How many records are taken and not settled, over all partitions."""
        return sum([tracker.unsettled for tracker in self._trackers.values()])

    def oldest_in_hand(self) -> dict[TopicPartition, tuple[int, int]]:
        """Return the generation and lowest unsettled offset of each partition that is not blocked."""
        return {
            where: (tracker.generation, tracker.committable)
            for where, tracker in self._trackers.items()
            if tracker.unsettled and not self.is_blocked(where)
        }

    def oldest_unsettled(self) -> Millis | None:
        """Return the earliest timestamp of an unsettled record; None: all are settled.

        A record without a timestamp (-1, 0) has no age and is left out.
        """
        oldest = (tracker.oldest_unsettled for tracker in self._trackers.values())
        known = (instant for instant in oldest if instant is not None and is_plausible(instant))
        return min(known, default=None)
