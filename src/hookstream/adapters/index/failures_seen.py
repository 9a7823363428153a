"""What an index has seen of failures within some hours, joined over them."""

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
"""The start of an hour, and what opens it; None: it is not there any more."""

_OF_HOUR = 50
"""An hour counts as so many errors more: what opening its file costs."""


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
        hours: They, the newest first.
        whose: A partner, subscriptions of it, or neither.
        window: The index's.
        since: From when on the hours are.
        deliveries: Whether deliveries are counted; else there are none.
        most: After so many errors no older hour is looked at, and successes never are; None: all are.

    Raises:
        DependencyUnavailable: The index has read nothing yet.
    """
    if window.since is None or window.until is None:
        raise DependencyUnavailable("the index has read nothing yet: ask again in a moment")
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
