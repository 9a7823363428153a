"""Bounds on the brokers' time: a broker stamped a record between a request and its acknowledgement.

Pure. Local times are seconds since boot, by a clock that nobody sets.
"""

from statistics import median
from typing import NamedTuple

from hookstream.core.model.instant import Millis

DRIFT = 0.0005
"""Maximum drift between two clocks, in seconds per second. Usual clocks drift a tenth of that."""

KEPT_FOR = 600.0
"""Seconds for which the bounds from one partition's leader are used."""

MOST_WIDE = 5.0
"""The largest uncertainty, in seconds to either side, at which the time counts as known."""

_NARROW = 0.5
"""Seconds of uncertainty below which all bounds count as equally good."""

_MOST_PLACES = 256


class TimeBounds(NamedTuple):
    """Lower and upper bound of a broker's clock minus the local clock since boot, in seconds."""

    low: float
    high: float
    at: float
    """When the bounds were measured, in seconds since boot."""

    @property
    def middle(self) -> float:
        """The most likely difference."""
        return (self.low + self.high) / 2

    @property
    def doubt(self) -> float:
        """The largest error of the middle, to either side."""
        return (self.high - self.low) / 2

    def narrowed(self, newer: "TimeBounds") -> "TimeBounds":
        """Return the intersection of both bounds; the newer alone if they contradict (a clock was set)."""
        passed = max(0.0, newer.at - self.at) * DRIFT
        low = max(self.low - passed, newer.low)
        high = min(self.high + passed, newer.high)
        return TimeBounds(low, high, newer.at) if low <= high else newer


class BrokerTime:
    """An estimate of the brokers' time: the median over the leaders of partitions."""

    def __init__(self) -> None:
        """Start without an estimate."""
        self._bounds: dict[str, TimeBounds] = {}
        self.ahead: float | None = None
        """Seconds to add to the clock since boot, most likely; None before the first estimate."""
        self.ahead_at_least: float | None = None
        """The lower bound of the same. With it, nothing is done too early."""
        self.doubt = float("inf")
        """The uncertainty of `ahead` in seconds, as far as one answer shows."""
        self.apart = 0.0
        """Seconds between the brokers that differ most."""
        self.learned_at = float("-inf")
        """When the last timestamp came."""

    def learn(self, place: str, stamp: Millis, asked: float, answered: float) -> None:
        """Learn of a stamp.

        Args:
            place: The partition whose leader set it.
            stamp: The timestamp, truncated to milliseconds.
            asked: When the record was handed to the producer, in seconds since boot.
            answered: When the acknowledgement arrived, in seconds since boot.
        """
        newer = TimeBounds(stamp / 1000 - answered, (stamp + 1) / 1000 - asked, answered)
        known = self._bounds.pop(place, None)
        self._bounds[place] = newer if known is None else known.narrowed(newer)
        self.learned_at = answered
        for old in [name for name, b in self._bounds.items() if answered - b.at > KEPT_FOR]:
            del self._bounds[old]
        if len(self._bounds) > _MOST_PLACES:
            del self._bounds[next(iter(self._bounds))]
        self._agree()

    def _agree(self) -> None:
        # Each acknowledgement comes here.
        self.doubt = min([b.doubt for b in self._bounds.values()])
        # Bounds from an answer that took minutes are too wide: they are ignored if better ones exist.
        wide = max(self.doubt, _NARROW)
        counted = [b for b in self._bounds.values() if b.doubt <= wide]
        middles = [b.middle for b in counted]
        self.apart = max(middles) - min(middles)
        if self.doubt <= MOST_WIDE:
            # Keep the previous estimate: the clock since boot is better than an answer that took long.
            self.ahead = median(middles)
            self.ahead_at_least = median([b.low for b in counted])
