"""Computes the numbers of a window from the hours' files, opened one at a time."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager

from hookstream.adapters.index.answers import Whose
from hookstream.adapters.index.folder import IndexFile
from hookstream.adapters.index.hour_reader import HourReader
from hookstream.core.model.instant import Millis
from hookstream.core.statistics.errors import ErrorPattern
from hookstream.core.statistics.overview import FailingEndpoint, Overview, OverviewBuilder, Steps

OpenHour = Callable[[IndexFile], AbstractContextManager[HourReader | None]]
"""Opens an hour's file; None: it does not exist any more."""


def overview_of(
    hours: Sequence[IndexFile],
    opened: OpenHour,
    whose: Whose,
    steps: Steps,
    known_since: Millis,
    *,
    whole: bool,
) -> Overview:
    """Return the numbers of an interval.

    Args:
        hours: Its hours, the newest first.
        opened: Opens one of them.
        whose: A partner, subscriptions of it, or neither.
        steps: The interval, which ends at present.
        known_since: The start of what is known.
        whole: Whether the requested interval begins no earlier.
    """
    builder = OverviewBuilder(steps)
    for hour in hours:
        with opened(hour) as reader:
            if reader is not None:
                numbers = reader.whose(whose.partner_id, whose.subscriptions)
                builder.add_runs(reader.counts_of_steps(numbers, steps, steps.until))
                builder.add_attempts(reader.attempts_of_steps(numbers, steps))
                subs = reader.subscriptions(whose.partner_id, whose.subscriptions)
                builder.add_failing(reader.failing(subs, steps))
    worst = _with_errors(builder.worst(), hours, opened)
    return builder.overview(worst, known_since, whole=whole)


def _with_errors(
    worst: Sequence[FailingEndpoint], hours: Iterable[IndexFile], opened: OpenHour
) -> list[FailingEndpoint]:
    """Return endpoints, each with its most frequent error of the newest hour that has one."""
    errors: dict[str, ErrorPattern] = {}
    for hour in hours:
        left = [each.subscription_id for each in worst if each.subscription_id not in errors]
        if not left:
            break
        with opened(hour) as reader:
            for name in left if reader is not None else ():
                found = None if reader is None else reader.most_frequent_error(name)
                if found is not None:
                    errors[name] = found
    return [each._replace(error=errors.get(each.subscription_id)) for each in worst]
