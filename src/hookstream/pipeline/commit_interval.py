"""Commits settled offsets every second, in the consumer groups of events and of tiers."""

from collections.abc import Iterable

from hookstream.pipeline.partitions import Partitions

COMMIT_EVERY = 1.0
"""Seconds. After a crash, deliveries settled since the last commit are made again."""


def commit(groups: Iterable[Partitions]) -> None:
    """Commit the offsets settled since the last call, without waiting for the brokers."""
    for partitions in groups:
        partitions.commit()
