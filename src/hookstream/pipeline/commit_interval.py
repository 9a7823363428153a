"""Settled offsets are committed every second, in the group of the events and in that of the tiers."""

from collections.abc import Iterable

from hookstream.pipeline.partitions import Partitions

COMMIT_EVERY = 1.0
"""Seconds. After a crash, what was settled since the last commit is delivered again."""


def commit(groups: Iterable[Partitions]) -> None:
    """Commit what was settled since the last time, without waiting for the brokers."""
    for partitions in groups:
        partitions.commit()
