"""What is known of the brokers' time, by bounds: a broker stamped a record between a question and its answer.

Pure. Times of this machine are seconds by its clock since boot, which nobody sets.
"""

from dataclasses import dataclass
from statistics import median

from hookstream.core.model.instant import Millis

DRIFT = 0.0005
"""Seconds by which two clocks may part in a second. Ordinary ones part by a tenth of that."""

KEPT_FOR = 600.0
"""Seconds for which the word of one partition's leader counts."""

MOST_WIDE = 5.0
"""Seconds of doubt, to either side, with which the time still counts as known."""

_NARROW = 0.5
"""Seconds of doubt up to which one word is as good as another."""

_MOST_PLACES = 256


@dataclass(slots=True, frozen=True)
class TimeBounds:
    """Seconds by which a broker's clock is ahead of this machine's clock since boot: from, to."""

    low: float
    high: float
    at: float
    """When this was known."""

    @property
    def middle(self) -> float:
        """What is likeliest."""
        return (self.low + self.high) / 2

    @property
    def doubt(self) -> float:
        """By how much the middle may be wrong, to either side."""
        return (self.high - self.low) / 2

    def narrowed(self, newer: "TimeBounds") -> "TimeBounds":
        """Return what both say; the newer alone where they contradict, as a clock was set."""
        passed = max(0.0, newer.at - self.at) * DRIFT
        low = max(self.low - passed, newer.low)
        high = min(self.high + passed, newer.high)
        return TimeBounds(low, high, newer.at) if low <= high else newer


class BrokerTime:
    """The brokers' time as this machine knows it. Each partition's leader has a say; the median counts."""

    def __init__(self) -> None:
        """Know nothing."""
        self._bounds: dict[str, TimeBounds] = {}
        self.ahead: float | None = None
        """Seconds to be added to the clock since boot, as is likeliest; None: never known yet."""
        self.ahead_at_least: float | None = None
        """The same by the earliest that the answers allow: by this, nothing is done before its time."""
        self.doubt = float("inf")
        """Seconds by which `ahead` may be wrong, as far as one answer can tell."""
        self.apart = 0.0
        """Seconds between the brokers that differ most."""
        self.learned_at = float("-inf")
        """When the last timestamp came."""

    def learn(self, place: str, stamp: Millis, asked: float, answered: float) -> None:
        """Learn of a stamp.

        Args:
            place: The partition whose leader gave it.
            stamp: Its time, cut to milliseconds.
            asked: When the record was handed over.
            answered: When the acknowledgement was seen.
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
        self.doubt = min(b.doubt for b in self._bounds.values())
        # An answer that took minutes says little, and its middle nothing: it has no say beside others.
        wide = max(self.doubt, _NARROW)
        counted = [b for b in self._bounds.values() if b.doubt <= wide]
        middles = [b.middle for b in counted]
        self.apart = max(middles) - min(middles)
        if self.doubt <= MOST_WIDE:
            # What was known stays: a clock that nobody sets is better than an answer that took long.
            self.ahead = median(middles)
            self.ahead_at_least = median(b.low for b in counted)
