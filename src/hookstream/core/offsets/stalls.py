"""A standstill is an offset that has not moved although it should: what stands longest is told.

Looked at every second or so, never counted record by record. Whatever waits on purpose is not shown
to it, and counts again once it is shown again.
"""

from collections.abc import Hashable, Mapping
from typing import NamedTuple

from hookstream.core.model.record import TopicPartition


class Stalled(NamedTuple):
    """What stands where, and for how long."""

    where: TopicPartition
    at: Hashable
    seconds: float


class Stalls:
    """Since when each partition stands at the same place."""

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since: dict[TopicPartition, tuple[Hashable, float]] = {}

    def look(self, places: Mapping[TopicPartition, Hashable], now: float) -> Stalled | None:
        """Take in where partitions stand now, and return what has stood longest; None: nothing.

        Args:
            places: The partitions that should move, and where each stands.
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
