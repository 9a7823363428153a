"""Computes how far ahead a change takes effect, so that every worker has read its row by then.

A worker matches and sends with tables that were complete at most `FRESH_FOR` seconds ago. So a row is read in
time by all of them if the brokers appended it that long before its change takes effect.
"""

from typing import NamedTuple

from hookstream.core.model.freshness import FRESH_FOR
from hookstream.core.model.instant import MINUTE, Millis

LONGEST_LEAD: Millis = MINUTE
"""No change takes effect later than this after it was begun: whoever made it waits for that."""

_FRESH: Millis = int(FRESH_FOR * 1_000)
_SHORT_LEAD = 4
"""Of a lead that is shorter than tables may be old, which operators may set, a quarter is left for writing."""


class ChangeTimes(NamedTuple):
    """The instants of one change, by the brokers' clock."""

    begun: Millis
    takes_effect: Millis


def writing_time(lead: Millis) -> Millis:
    """Return how long after a change was begun its rows may be appended."""
    return max(lead // _SHORT_LEAD, lead - _FRESH)


def lead_for(writing: Millis) -> Millis:
    """Return the shortest lead that leaves so much time for writing, at most `LONGEST_LEAD`."""
    return min(_SHORT_LEAD * writing, writing + _FRESH, LONGEST_LEAD)
