"""Joins the errors and successes of several hours of the index."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import TypeAlias

from hookstream.adapters.index.answers import Whose, Window
from hookstream.adapters.index.error_rows import GatheredErrors
from hookstream.adapters.index.hour_reader import HourReader
from hookstream.core.failures.book import Looked
from hookstream.core.model.instant import Millis
from hookstream.errors import DependencyUnavailable

OpenedHour: TypeAlias = tuple[Millis, AbstractContextManager[HourReader | None]]
"""The start of an hour, and the function that opens it; None: it does not exist any more."""

_OF_HOUR = 50
"""An hour counts as so many additional errors, the cost of opening its file."""


def looked_in(
    hours: Iterable[OpenedHour],
    whose: Whose,
    window: Window,
    since: Millis,
    *,
    deliveries: bool,
    most: int | None,
) -> Looked:
    """Return the errors and the last successes of hours.

    Args:
        hours: The hours, the newest first.
        whose: A partner, subscriptions of it, or neither.
        window: The index's.
        since: The start of the hours.
        deliveries: Whether deliveries are counted; otherwise there are none.
        most: After so many errors no older hour is read, and successes never are; None: all are.

    Raises:
        DependencyUnavailable: The index has read nothing yet.
    """
    if window.since is None or window.until is None:
        raise DependencyUnavailable("the index has read nothing yet: try again in a moment")
    since = max(window.since, since)
    gathered = GatheredErrors()
    successes: dict[str, Millis] = {}
    for number, (start, hour) in enumerate(hours, 1):
        with hour as reader:
            if reader is None:
                continue
            subs = reader.subscriptions(whose.partner_id, whose.subscriptions)
            gathered.add(reader.seen_errors(subs, whose.partner_id, deliveries=deliveries))
            for name, at in reader.successes(subs) if most is None else ():
                successes[name] = max(at, successes.get(name, 0))
        if most is not None and gathered.rows + number * _OF_HOUR >= most:
            since = max(since, start)
            break
    return Looked(since, window.until, gathered.errors(), successes)
