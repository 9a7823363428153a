"""Counts several subscriptions separately, and opens each hour's file once for all of them."""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager

from hookstream.adapters.index.folder import IndexFile
from hookstream.adapters.index.hour_reader import HourReader
from hookstream.core.statistics.counts import Counts, is_overdue
from hookstream.core.statistics.overview import Steps


def counts_of_each(
    hours: Sequence[IndexFile],
    opened: Callable[[IndexFile], AbstractContextManager[HourReader | None]],
    subscriptions: Collection[str],
    steps: Steps,
) -> dict[str, Counts]:
    """Return the counts of each subscription over an interval that ends at present.

    Args:
        hours: The hours that it overlaps.
        opened: Opens one of them; None: it does not exist any more.
        subscriptions: Their ids, of any partner.
        steps: The interval.
    """
    found = {each: Counts() for each in subscriptions}
    for hour in hours:
        with opened(hour) as reader:
            if reader is None:
                continue
            for name, counts in found.items():
                numbers = reader.whose(None, (name,))
                for at, kind, ending, runs, retries in reader.counts_of_steps(
                    numbers, steps, steps.until
                ):
                    overdue = is_overdue(at, steps.until)
                    counts.add(kind, ending, runs, retries, overdue=overdue)
    return found
