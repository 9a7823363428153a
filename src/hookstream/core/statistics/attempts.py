"""Requests that were made, counted by the minute in which their audit record was appended, and how long they took.

Each request counts, whatever run it belongs to, also one that was repeated after a crash. How long they took is
kept as a histogram of fixed buckets, so that counts of minutes, partners and hours can be added up.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

from hookstream.core.model.instant import Millis

BOUNDS_MS: Final = (
    *(5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700),
    *(1_000, 1_500, 2_000, 3_000, 5_000, 7_000, 10_000, 15_000, 20_000, 30_000, 60_000),
)
"""The upper bound of each bucket but the last, in milliseconds; a request of exactly that time is below it."""

BUCKETS: Final = len(BOUNDS_MS) + 1
"""How many buckets there are; the last has what took longer than a minute."""

_BOUNDS_US: Final = tuple(bound * 1_000 for bound in BOUNDS_MS)


def bucket_of(duration_us: int) -> int:
    """Return the number of the bucket of a duration in microseconds, 0 to `BUCKETS` - 1."""
    return bisect_left(_BOUNDS_US, duration_us)


def quantile(counts: Sequence[int], share: float) -> float | None:
    """Return the time within which a share of requests was answered, in milliseconds; None: there is none.

    It lies in the same bucket as the true one, so it is wrong by less than the width of that bucket. Of the
    last bucket its beginning is returned: the true one is longer.

    Args:
        counts: How many requests each bucket has.
        share: More than 0, at most 1.
    """
    left = sum(counts) * share
    if left <= 0:
        return None
    for count, (low, high) in zip(counts, pairwise((0, *BOUNDS_MS)), strict=False):
        if left <= count:
            return low + (high - low) * left / count
        left -= count
    return float(BOUNDS_MS[-1])


class CountedAttempts(NamedTuple):
    """Requests of one minute, or of one interval of minutes."""

    at: Millis
    """A minute of the interval."""
    failed: int
    """Those after which their delivery was neither delivered nor cancelled."""
    buckets: Sequence[int]
    """How many took how long."""


@dataclass(slots=True)
class AttemptCounts:
    """Requests of some minutes, added up."""

    failed: int = 0
    buckets: list[int] = field(default_factory=lambda: [0] * BUCKETS)

    @property
    def attempts(self) -> int:
        """How many requests there were."""
        return sum(self.buckets)

    @property
    def p50(self) -> float | None:
        """The time within which half of them were answered, in milliseconds, as `quantile` says."""
        return quantile(self.buckets, 0.5)

    @property
    def p95(self) -> float | None:
        """The time within which 95 % of them were answered, likewise."""
        return quantile(self.buckets, 0.95)

    def add(self, counted: CountedAttempts) -> None:
        """Add requests."""
        self.failed += counted.failed
        self.buckets = [
            mine + more for mine, more in zip(self.buckets, counted.buckets, strict=True)
        ]


def total_of(counts: Iterable[AttemptCounts]) -> AttemptCounts:
    """Return the requests of all together."""
    total = AttemptCounts()
    for each in counts:
        total.add(CountedAttempts(0, each.failed, each.buckets))
    return total
