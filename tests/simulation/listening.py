"""Observes what a process is notified of about its partitions."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from tests.simulation.invariants import GAPS

from hookstream.core.model.record import TopicPartition
from hookstream.core.offsets.commit_metadata import CommitPosition
from hookstream.pipeline.ports import AssignmentListener

if TYPE_CHECKING:
    from tests.simulation.process import Process


class SeenListener:
    """Forwards what a source notifies, while the process lives."""

    def __init__(
        self, process: "Process", inner: AssignmentListener, assigned: set[TopicPartition]
    ) -> None:
        self._process = process
        self._inner = inner
        self._held = assigned

    def on_assigned(self, positions: Mapping[TopicPartition, CommitPosition]) -> None:
        if self._process.alive:
            self._note("is given", positions)
            self._held.update(positions)
            self._inner.on_assigned(positions)

    async def on_revoked(
        self, partitions: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, CommitPosition]:
        if not self._process.alive:
            return {}
        self._note("is to give up", partitions)
        self._held.difference_update(partitions)
        offsets = await self._inner.on_revoked(partitions)
        return offsets if self._process.lives() else {}

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        if self._process.alive:
            self._note("has lost", partitions)
            self._held.difference_update(partitions)
            self._inner.on_lost(partitions)

    def _note(self, what: str, partitions: Iterable[TopicPartition]) -> None:
        names = ", ".join(f"{where.topic}/{where.partition}" for where in sorted(partitions))
        self._process.ledger.note(f"{self._process.host.name} {what} {names}")

    def on_commit_failed(self, partitions: Sequence[TopicPartition]) -> None:
        if self._process.alive:
            self._inner.on_commit_failed(partitions)

    def on_gap(self, partition: TopicPartition, first: int, next_offset: int) -> None:
        process = self._process
        if not process.alive:
            return
        process.ledger.note(
            f"{process.host.name} finds a gap in {partition}: {first}-{next_offset}"
        )
        counted = process.metrics.gaps[partition.topic]
        self._inner.on_gap(partition, first, next_offset)
        counted = process.metrics.gaps[partition.topic] - counted
        if counted != next_offset - first:
            process.ledger.blame(GAPS, f"{counted} of {next_offset - first} records are counted")

    def on_started(self, partition: TopicPartition, begin: int) -> None:
        if self._process.alive:
            self._inner.on_started(partition, begin)

    def on_stopped(self, partition: TopicPartition, remedy: str) -> None:
        if self._process.alive:
            self._inner.on_stopped(partition, remedy)
