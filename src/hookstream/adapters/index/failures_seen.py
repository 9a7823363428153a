"""What an index has seen of failures within some hours, joined over them."""

from collections.abc import Iterable
from contextlib import AbstractContextManager

from hookstream.adapters.index.answers import Whose, Window
from hookstream.adapters.index.hour_reader import HourReader
from hookstream.core.failures.book import Looked
from hookstream.core.failures.groups import Errors, SeenErrors
from hookstream.core.model.instant import Millis
from hookstream.errors import DependencyUnavailable


def looked_in(
    hours: Iterable[AbstractContextManager[HourReader | None]],
    whose: Whose,
    window: Window,
    since: Millis,
    *,
    deliveries: bool,
) -> Looked:
    """Return the errors and the last successes of hours.

    Args:
        hours: Open each; None: it is not there any more.
        whose: A partner, subscriptions of it, or neither.
        window: The index's.
        since: From when on the hours are.
        deliveries: Whether deliveries are counted; else there are none.

    Raises:
        DependencyUnavailable: The index has read nothing yet.
    """
    if window.since is None or window.until is None:
        raise DependencyUnavailable("the index has read nothing yet: ask again in a moment")
    errors: dict[Errors, SeenErrors] = {}
    successes: dict[str, Millis] = {}
    for hour in hours:
        with hour as reader:
            if reader is None:
                continue
            subs = reader.subscriptions(whose.partner_id, whose.subscriptions)
            for key, seen in reader.seen_errors(subs, whose.partner_id, deliveries=deliveries):
                known = errors.get(key)
                errors[key] = seen if known is None else known.joined(seen)
            for name, at in reader.successes(subs):
                successes[name] = max(at, successes.get(name, 0))
    return Looked(max(window.since, since), window.until, errors, successes)
