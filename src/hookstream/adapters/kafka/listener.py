"""Listeners that are notified of a group member and of its partitions, on the loop and in order."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from hookstream.adapters.kafka.offsets import Window
from hookstream.core.model.record import Record, TopicPartition
from hookstream.core.offsets.commit_metadata import CommitPosition
from hookstream.errors import HookstreamError


class PartitionListener(Protocol):
    """Is notified of partitions."""

    def hear(self, told: Callable[..., None], *arguments: object) -> None:
        """Call one of the others, and make known what it raises."""

    def assigned(self, positions: Mapping[TopicPartition, CommitPosition]) -> None:
        """Partitions are read from these offsets on."""

    async def revoked(
        self, partitions: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, CommitPosition]:
        """Partitions are taken away; returns what may be committed."""

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Partitions are gone; nothing may be committed."""

    def gap(self, partition: TopicPartition, first: int, next_offset: int) -> None:
        """Records are gone."""

    def stop(self, partition: TopicPartition, remedy: str) -> None:
        """A partition is not read, and what ends that."""

    def started(self, partition: TopicPartition, begin: int) -> None:
        """A held partition goes on at an offset that an operator named."""

    def read_on(self, partition: TopicPartition) -> None:
        """A partition is read again, which was stopped and is held."""

    def uncommitted(self, partitions: Sequence[TopicPartition]) -> None:
        """A commit failed; what they had settled has to be committed again."""

    def telltales(self, topics: Iterable[str]) -> Mapping[str, Window]:
        """As `StartPolicy.telltale`, for each topic."""


class ConsumerListener(PartitionListener, Protocol):
    """Is notified of the member as well."""

    def gave(self, records: list[Record]) -> None:
        """A request was answered."""

    def failed(self, error: HookstreamError) -> None:
        """The member ended."""
