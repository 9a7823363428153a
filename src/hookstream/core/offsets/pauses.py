"""Keeps the reasons to pause each partition, which is fetched only while it has none."""

from collections import Counter
from collections.abc import Iterable
from enum import Enum, auto

from hookstream.core.model.record import TopicPartition


class PauseReason(Enum):
    """Why a partition is not fetched."""

    BLOCKED = auto()
    """A record of it can be neither written nor read. Counted once for each such record."""
    FULL = auto()
    """Its share of the waiting room is used up."""
    CROWDED = auto()
    """The settled offsets above its committed offset no longer fit into the commit's metadata."""
    REQUESTED = auto()
    """The consumer of its records requested a pause."""
    FETCH_FAILED = auto()
    """Its next records could not be fetched. The fetch is retried soon."""


class Pauses:
    """The present pause reasons by partition. Not thread-safe."""

    def __init__(self) -> None:
        self._reasons: dict[TopicPartition, Counter[PauseReason]] = {}

    def add(self, at: TopicPartition, reason: PauseReason) -> None:
        """Add a reason. `BLOCKED` is counted, any other reason is noted at most once."""
        reasons = self._reasons.setdefault(at, Counter())
        reasons[reason] = reasons[reason] + 1 if reason is PauseReason.BLOCKED else 1

    def remove(self, at: TopicPartition, reason: PauseReason) -> bool:
        """Remove a reason once. Return whether it was the partition's last one."""
        reasons = self._reasons.get(at)
        if reasons is None:
            return False
        left = self._reasons[at] = reasons - Counter({reason: 1})
        if not left:
            del self._reasons[at]
        return not left

    def forget(self, partitions: Iterable[TopicPartition]) -> None:
        """Remove every reason of these partitions."""
        for at in partitions:
            self._reasons.pop(at, None)

    def has(self, at: TopicPartition, reason: PauseReason) -> bool:
        """Return whether a partition is paused for a reason."""
        return reason in self._reasons.get(at, ())

    def having(self, reason: PauseReason) -> list[TopicPartition]:
        """Return the partitions that are paused for a reason."""
        return [at for at, reasons in self._reasons.items() if reason in reasons]

    def __contains__(self, at: object) -> bool:
        """Return whether a partition is paused at all."""
        return at in self._reasons
