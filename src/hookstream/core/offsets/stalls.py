"""Finds the partition whose offset has not moved for longest although it should.

Offsets are compared every second or so, not counted record by record. A partition that waits on purpose
is left out, and its count starts again when it is included again.
"""

from collections.abc import Hashable, Mapping
from typing import NamedTuple

from hookstream.core.model.record import TopicPartition


class Stalled(NamedTuple):
    """The partition that has not moved for longest, its place, and for how long."""

    where: TopicPartition
    at: Hashable
    seconds: float


class Stalls:
    """Since when each partition has been at the same place."""

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since: dict[TopicPartition, tuple[Hashable, float]] = {}

    def look(self, places: Mapping[TopicPartition, Hashable], now: float) -> Stalled | None:
        """Compare the partitions' places with the last ones, and return the longest stall; None: no partition.

        Args:
            places: The partitions that should move, and the place of each.
            now: Seconds that never go back.
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
