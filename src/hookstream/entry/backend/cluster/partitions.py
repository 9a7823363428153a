"""Partitions as the brokers know them; requests to workers are written to the tables."""

from dataclasses import dataclass

from hookstream.core.model.record import TopicPartition
from hookstream.entry.admin.partitions import ReadPartition, ReadPartitions
from hookstream.entry.backend.partition_ports import PartitionCommand, PartitionListing
from hookstream.settings import Settings


@dataclass(slots=True, frozen=True)
class ClusterPartitions:
    """Partitions of event topics and tiers. Implements `PartitionCommands`."""

    settings: Settings

    def listed(self) -> PartitionListing:
        names = self.settings.topics_names
        positions = ReadPartitions(self.settings).positions()
        return PartitionListing(positions, (names.group, names.retry_group))

    def partition(self, at: TopicPartition) -> PartitionCommand:
        return ReadPartition(self.settings, at)
