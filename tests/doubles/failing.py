"""Failure groups and what was seen of their errors, of a few subscriptions."""

from hookstream.core.failures.book import FailureBook, Looked
from hookstream.core.failures.distinct import Distinct
from hookstream.core.failures.groups import (
    Errors,
    FailureGroup,
    GroupState,
    SeenErrors,
    group_id,
)
from hookstream.core.model.instant import DAY, HOUR, Millis
from hookstream.core.statistics.errors import Fingerprint

NOW: Millis = 1_795_942_800_000
QUIET = 6 * HOUR
OWNERS = {"shop": "acme", "news": "acme", "crm": "rival"}


def errors_of(
    text: str = "timed out",
    subscription: str = "shop",
    partner: str = "acme",
    status: int | None = None,
) -> Errors:
    """Return the errors of a text."""
    return Errors(partner, Fingerprint(subscription, "failed", status, text))


def seen_at(first: Millis, last: Millis | None = None, count: int = 1) -> SeenErrors:
    """Return errors that were seen from a first instant to a last one."""
    last = first if last is None else last
    return SeenErrors(count, first, last, "timed out after 15 s", "msg_a", Distinct((7,)))


def group_of(
    errors: Errors | None = None,
    state: GroupState = GroupState.OPEN,
    *,
    opened: Millis = NOW - DAY,
    changed: Millis | None = None,
    last_seen: Millis | None = None,
    revision: int = 1,
) -> FailureGroup:
    """Return a group."""
    errors = errors or errors_of()
    subscription_id, outcome, status, text = errors.fingerprint
    return FailureGroup(
        group_id(errors),
        errors.partner_id,
        subscription_id,
        outcome,
        status,
        text,
        state,
        opened=opened,
        changed=opened if changed is None else changed,
        first_seen=opened,
        last_seen=opened if last_seen is None else last_seen,
        revision=revision,
    )


def book_of(*groups: FailureGroup) -> FailureBook:
    """Return a book of groups."""
    book = FailureBook()
    for group in groups:
        book.put(group.id, group)
    return book


def looked(
    errors: dict[Errors, SeenErrors] | None = None,
    successes: dict[str, Millis] | None = None,
    since: Millis = NOW - 2 * DAY,
) -> Looked:
    """Return what an index has seen until now."""
    return Looked(since, NOW, errors or {}, successes or {})
