"""The ports for the partitions that workers read: their positions, and starting and skipping.

The cluster and the API implement each of these, and each raises the exceptions that `ports.py` documents.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from hookstream.core.model.record import TopicPartition
from hookstream.core.offsets.group_position import GroupPosition
from hookstream.entry.admin.partitions import StartAt


class PartitionListing(NamedTuple):
    """The partitions of event topics, then those of tiers, each by topic and number."""

    positions: Sequence[GroupPosition]
    groups: Sequence[str]
    """The workers' consumer groups, that of the events first; empty: not known, since there is no partition."""


class PartitionCommand(Protocol):
    """One partition, and the requests to its worker."""

    def position(self) -> GroupPosition:
        """Return the group's current position."""

    def start(self, where: StartAt, reason: str) -> None:
        """Ask the worker to start the partition at a position, if it is stopped."""

    def skip(self, offset: int, reason: str) -> None:
        """Ask the worker to skip the record at an offset, if that record stops the partition."""

    def position_within(
        self, seconds: float, reached_it: Callable[[GroupPosition], bool]
    ) -> GroupPosition:
        """Return the position as soon as it meets a condition, or the last one within a time."""


class PartitionCommands(Protocol):
    """Lists partitions, and returns one."""

    def listed(self) -> PartitionListing:
        """Return the positions of the workers' groups in every partition."""

    def partition(self, at: TopicPartition) -> PartitionCommand:
        """Return one partition; one that workers do not read is refused, now or at its first use."""
