"""A listener that records its notifications, and releases revoked partitions."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from hookstream.core.model.record import TopicPartition
from hookstream.core.offsets.commit_metadata import CommitPosition
from hookstream.pipeline.partitions import Gap, Partitions

Entry: TypeAlias = tuple[str, object]


class BookkeepingListener:
    """An AssignmentListener. `settled` is what a revocation may commit, by partition."""

    def __init__(self) -> None:
        self.book: list[Entry] = []
        self.assigned: dict[TopicPartition, int] = {}
        """What it was assigned, and where each started."""
        self.metadata: dict[TopicPartition, str] = {}
        """The commit metadata that came with each."""
        self.settled: dict[TopicPartition, CommitPosition] = {}
        self.dawdle = 0.0
        """Seconds that a revocation takes."""

    def on_assigned(self, positions: Mapping[TopicPartition, CommitPosition]) -> None:
        offsets = {at: position.offset for at, position in positions.items()}
        self.book.append(("assigned", offsets))
        self.assigned.update(offsets)
        self.metadata.update({at: position.metadata for at, position in positions.items()})

    async def on_revoked(
        self, partitions: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, CommitPosition]:
        self.book.append(("revoked", sorted(partitions)))
        for partition in partitions:
            del self.assigned[partition]
        await asyncio.sleep(self.dawdle)
        return {at: offset for at, offset in self.settled.items() if at in partitions}

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        self.book.append(("lost", sorted(partitions)))
        for partition in partitions:
            del self.assigned[partition]

    def on_commit_failed(self, partitions: Sequence[TopicPartition]) -> None:
        self.book.append(("commit_failed", sorted(partitions)))

    def on_gap(self, partition: TopicPartition, first: int, next_offset: int) -> None:
        self.book.append(("gap", (partition, first, next_offset)))

    def on_started(self, partition: TopicPartition, begin: int) -> None:
        self.book.append(("started", (partition, begin)))

    def on_stopped(self, partition: TopicPartition, remedy: str) -> None:
        self.book.append(("stopped", (partition, remedy)))


class OwnedListener:
    """A PartitionsListener that records its notifications."""

    def __init__(self) -> None:
        self.gaps: list[Gap] = []
        self.stopped: list[TopicPartition] = []
        self.gone: Callable[[], None] = lambda: None
        """What happens to queued work of revoked partitions."""

    def on_gone(self, partitions: frozenset[TopicPartition]) -> None:
        del partitions
        self.gone()

    def on_gap(self, partitions: Partitions, where: TopicPartition, gap: Gap) -> None:
        del partitions, where
        self.gaps.append(gap)

    def on_stopped(self, where: TopicPartition) -> None:
        self.stopped.append(where)

    def on_started(self, where: TopicPartition, begin: int) -> None: ...
