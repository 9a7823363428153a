"""A stall is a position that does not move although it should; the longest one is reported.

Positions are sampled about every second, not counted record by record. Partitions that wait on
purpose are left out; their time starts again when they are included again.
"""

from collections.abc import Hashable, Mapping
from typing import NamedTuple

from hookstream.core.model.record import TopicPartition


class Stalled(NamedTuple):
    """Where a partition is stalled, and for how many seconds."""

    where: TopicPartition
    at: Hashable
    seconds: float


class Stalls:
    """Since when each partition has been at the same position."""

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since: dict[TopicPartition, tuple[Hashable, float]] = {}

    def look(self, places: Mapping[TopicPartition, Hashable], now: float) -> Stalled | None:
        """Sample the partitions' positions and return the longest stall; None if there is none.

        Args:
            places: The partitions that should move, and the position of each.
            now: Monotonic seconds.
        """
        before = self._since
        self._since = {
            where: known if (known := before.get(where)) and known[0] == place else (place, now)
            for where, place in places.items()
        }
        if not self._since:
            return None
        where, (place, since) = min(self._since.items(), key=lambda each: each[1][1])
        return Stalled(where, place, now - since)
