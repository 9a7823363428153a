"""An interval of record times, and the instant from which its end in the log can be fixed.

A record belongs to an interval by its own time alone, never by its place: times need not grow with
offsets, neither those of producers nor those of brokers, whose clocks differ when a leader changes.
"""

from typing import NamedTuple

from hookstream.core.model.instant import LATEST, SECOND, Millis

REPLICATED_WITHIN: Millis = 30 * SECOND
"""How long a record may be in its leader's log before the high watermark is above it: Kafka's
`replica.lag.time.max.ms`, after which a follower that lags no longer counts."""
CLOCKS_WITHIN: Millis = 5 * SECOND
"""By how much the brokers' clocks may differ: the clock that is asked may be another than a leader's."""


class Interval(NamedTuple):
    """Record times: `since` and later, before `until`."""

    since: Millis
    """0 or later: no record has an earlier time of a broker's."""
    until: Millis

    def contains(self, timestamp: Millis) -> bool:
        """Return whether a record of this time belongs to it."""
        return self.since <= timestamp < self.until


def interval_of_gap(start: Millis, end: Millis) -> Interval:
    """Return the interval of a closed gap, which excludes its start and includes its end."""
    return Interval(max(0, start + 1), min(end + 1, LATEST))


def settled_after(brokers: int, replicas: int) -> Millis:
    """Return how long after an interval's end its records are all below the high watermarks.

    Until then a leader may have a record of the interval that no consumer is shown yet, or stamp one
    by a clock that is behind the one that was asked.

    Args:
        brokers: How many brokers the cluster has.
        replicas: The largest number of replicas that a partition has.
    """
    if replicas > 1:
        return REPLICATED_WITHIN
    return CLOCKS_WITHIN if brokers > 1 else 0


def ends_may_be_fixed(interval: Interval, now: Millis, settled: Millis) -> bool:
    """Return whether all records of an interval are below the high watermarks that are asked for now.

    Args:
        interval: The interval.
        now: By the brokers' clock, rather earlier than later.
        settled: As `settled_after` returns it.
    """
    return now >= interval.until + settled
