"""Computes the statistics of an interval from the hours' files, opened one at a time.

Only each hour's most frequent error patterns are read; the numbers of the returned patterns are exact.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Final

from hookstream.adapters.index.answers import Whose
from hookstream.adapters.index.error_rows import GatheredPatterns
from hookstream.adapters.index.folder import IndexFile
from hookstream.adapters.index.hour_reader import HourReader
from hookstream.adapters.index.overviews import OpenHour
from hookstream.core.statistics.counts import Statistics
from hookstream.core.statistics.errors import Fingerprint
from hookstream.core.statistics.overview import Steps
from hookstream.core.statistics.reading import MOST_ERRORS, StatisticsBuilder

MOST_PATTERNS_LOOKED: Final = 200
"""The number of error patterns read per hour, the most frequent ones."""


def statistics_of(
    hours: Sequence[IndexFile],
    opened: OpenHour,
    whose: Whose,
    builder: StatisticsBuilder,
    *,
    most: int = MOST_PATTERNS_LOOKED,
) -> Statistics:
    """Return the statistics of an interval.

    Args:
        hours: Its hours, the newest first.
        opened: Opens one of them.
        whose: A partner, subscriptions of it, or neither.
        builder: The builder for the interval.
        most: The number of error patterns read per hour.
    """
    steps = Steps(builder.since, builder.until, builder.step)
    errors, is_cut = GatheredPatterns(), False
    for hour in hours:
        with opened(hour) as reader:
            if reader is None:
                continue
            numbers = reader.whose(whose.partner_id, whose.subscriptions)
            builder.add_runs(reader.counts_of_steps(numbers, steps, builder.now))
            if hour.start < builder.until:
                subs = reader.subscriptions(whose.partner_id, whose.subscriptions)
                is_cut |= errors.add(reader.errors(subs, whose.partner_id, most)) >= most
                builder.add_last(reader.last(numbers))
    found = errors.most_frequent(MOST_ERRORS)
    if is_cut:
        # A returned pattern may have been among the rarer ones of some hour.
        named = [each.fingerprint for each in found]
        touched = (opened(hour) for hour in hours if hour.start < builder.until)
        found = _counted(named, touched, whose).most_frequent(MOST_ERRORS)
    builder.add_errors(found)
    return builder.statistics(MOST_ERRORS)


def _counted(
    named: Sequence[Fingerprint],
    hours: Iterable[AbstractContextManager[HourReader | None]],
    whose: Whose,
) -> GatheredPatterns:
    """Return all errors of these patterns in the hours."""
    found = GatheredPatterns()
    for hour in hours:
        with hour as reader:
            if reader is not None:
                found.add(reader.errors_like(named, whose.partner_id))
    return found
