"""Failure groups for consoles: updates them from the index, applies people's acts, and shows them."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from hookstream.adapters.index.answers import (
    MOST_LISTED,
    AttemptFilter,
    Cursor,
    IndexedAttempt,
    Page,
    Whose,
    Window,
)
from hookstream.adapters.kafka.tables.writer import TableChange
from hookstream.adapters.tables.failure_group_rows import (
    failure_group_key,
    write_failure_group,
)
from hookstream.core.access.scopes import Caller
from hookstream.core.failures.book import Due, FailureBook, Looked, by_group, due, others_of
from hookstream.core.failures.groups import (
    Act,
    Actor,
    ActRefused,
    Errors,
    FailureGroup,
    GroupState,
    SeenErrors,
    after_act,
    together,
)
from hookstream.core.model.instant import HOUR, MINUTE, Millis
from hookstream.core.model.subscription import Subscription, SubscriptionState
from hookstream.core.statistics.errors import fingerprint_of
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.tables import State
from hookstream.errors import Conflict, InputRefused

LAST_ATTEMPTS = 20
"""The most attempts of a group that are shown, the newest."""
_MOST_PAGES = 4
"""The pages of attempts that are searched for them."""
MOST_ERRORS_SEEN = 5_000
"""After how many errors of distinct hours and subscriptions an answer has no older hour."""
_MOST_NAMED = 200
_STALE: Millis = 2 * MINUTE
"""An index that is further behind changes no group."""


class FailureIndex(Protocol):
    """The queries to an index; see `IndexReader`."""

    def window(self) -> Window:
        """Return the time that it covers."""

    def failures(
        self, whose: Whose, since: Millis, *, deliveries: bool = True, most: int | None = None
    ) -> Looked:
        """Return errors and successes."""

    def attempts(
        self, wanted: AttemptFilter, after: Cursor | None = None, limit: int = 50
    ) -> Page[IndexedAttempt]:
        """Return attempts, the newest first."""


class FailureLooks:
    """One console's looks into its index: through all of it at first, then through its last hours.

    All of it is looked through again when it reaches back further, and until everything that was found
    is written. For one thread at a time.

    Args:
        quiet: For how long a group must not have been seen until it is resolved automatically.
    """

    def __init__(self, quiet: Millis) -> None:
        self.quiet = quiet
        self._since: Millis | None = None

    def look(self, index: FailureIndex, now: Millis) -> Looked | None:
        """Return what the index has; None: it is not up to date.

        Raises:
            DependencyUnavailable: The index cannot be read now.
        """
        window = index.window()
        if window.since is None or window.until is None or not window.reading:
            return None
        if window.until < now - _STALE:
            return None
        is_whole = self._since is None or window.since < self._since
        recent = max(window.since, now - self.quiet - HOUR)
        return index.failures(Whose(), window.since if is_whole else recent, deliveries=False)

    def written(self, looked: Looked) -> None:
        """Note that all results of a look are written."""
        self._since = looked.since if self._since is None else min(self._since, looked.since)


def owners_in(state: State) -> dict[str, str]:
    """Return the partners of all subscriptions that are not deleted."""
    return {
        name: found.partner_id
        for name, found in state.current.subscriptions.items()
        if not (isinstance(found, Subscription) and found.state is SubscriptionState.DELETED)
    }


def write_due(writer: ChangeWriter, looked: Looked, quiet: Millis) -> Due:
    """Write the automatic changes, each with its operations event; return them.

    What another console wrote meanwhile is among the rows by then, and does not change again.

    Args:
        writer: Writes the tables, with the console topic.
        looked: What an index has.
        quiet: For how long a group must not have been seen until it is resolved automatically.
    """
    session = writer.session
    book, owners = session.console().failures, owners_in(writer.state)
    found = due(book, looked, owners, session.now, quiet)
    _write(writer, found.changed)
    return found


def act_on(
    writer: ChangeWriter,
    caller: Caller,
    name: str,
    act: Act,
    note: str,
    revision: int | None,
) -> FailureGroup:
    """Acknowledge, resolve or reopen a group for a caller; return the changed group.

    Args:
        writer: Writes the tables, with the console topic.
        caller: Who acts.
        name: The group's id.
        act: What they do.
        note: The note.
        revision: At which revision it must be; None: at any.

    Raises:
        InputRefused: There is no such group, as far as the caller may know.
        Conflict: It is at another revision, or its state does not allow the act.
    """
    session = writer.session
    group = visible_group(session.console().failures, caller, name)
    if group is None:
        raise InputRefused(f"there is no failure group {name!r}")
    if revision not in (None, group.revision):
        raise Conflict(f"failure group {name!r} is at revision {group.revision}, not {revision}")
    actor = Actor.OPERATOR if caller.partner_id is None else Actor.PARTNER
    after = after_act(group, act, actor, writer.by, note, session.now)
    if isinstance(after, ActRefused):
        raise Conflict(after.why)
    _write(writer, [after])
    return after


def visible_group(book: FailureBook, caller: Caller, name: str) -> FailureGroup | None:
    """Return a group; None: there is none, as far as the caller may know."""
    found = book.get(name)
    if found is None or caller.partner_id not in (None, found.partner_id):
        return None
    return found


@dataclass(slots=True, frozen=True)
class SelectedGroups:
    """Selects the groups that meet every given condition; None: any."""

    partner_id: str | None = None
    subscription_id: str | None = None
    states: frozenset[str] | None = None
    outcomes: frozenset[str] | None = None

    def of(self, book: FailureBook) -> list[FailureGroup]:
        """Return the groups of a book, the last changed first."""
        found = [group for group in book.groups() if self._selects(group)]
        return sorted(found, key=lambda group: (-group.changed, group.id))

    def _selects(self, group: FailureGroup) -> bool:
        return (
            self.partner_id in (None, group.partner_id)
            and self.subscription_id in (None, group.subscription_id)
            and (self.states is None or group.state.value in self.states)
            and (self.outcomes is None or group.outcome in self.outcomes)
        )


@dataclass(slots=True, frozen=True)
class SeenGroups:
    """The errors of groups in an index."""

    since: Millis
    """From when on errors are counted."""
    by_id: Mapping[str, SeenErrors]
    """Without the groups that were not seen."""


def seen_of(
    index: FailureIndex, book: FailureBook, groups: list[FailureGroup], since: Millis
) -> SeenGroups:
    """Return what the index has of groups from an instant on, or from a later one on.

    The newest hours are looked at, until `MOST_ERRORS_SEEN` errors were: hours and subscriptions are many.
    """
    if not groups:
        return SeenGroups(since, {})
    partners = {group.partner_id for group in groups}
    subscriptions = frozenset(group.subscription_id for group in groups)
    whose = Whose(
        next(iter(partners)) if len(partners) == 1 else None,
        # Each that is named is a look-up in every hour.
        subscriptions if len(subscriptions) <= _MOST_NAMED else None,
    )
    looked = index.failures(whose, since, most=MOST_ERRORS_SEEN)
    return SeenGroups(max(since, looked.since), by_group(book, looked.errors))


def last_attempts(
    index: FailureIndex, book: FailureBook, group: FailureGroup, since: Millis
) -> list[IndexedAttempt]:
    """Return the newest attempts of a group, at most `LAST_ATTEMPTS`, among a bounded number of its subscription's."""
    is_others = others_of(Errors(group.partner_id, group.fingerprint)).fingerprint == (
        group.fingerprint
    )
    wanted = AttemptFilter(
        group.partner_id,
        frozenset({group.subscription_id}),
        outcomes=None if is_others else frozenset({group.outcome}),
        statuses=None if group.status is None else (group.status, group.status),
        failed=True,
        since=since,
    )
    found: list[IndexedAttempt] = []
    after: Cursor | None = None
    for _ in range(_MOST_PAGES):
        page = index.attempts(wanted, after, MOST_LISTED)
        for each in page.items:
            fingerprint = fingerprint_of(each.entry)
            if fingerprint == group.fingerprint or (
                is_others
                and fingerprint is not None
                and not book.has(Errors(group.partner_id, fingerprint))
            ):
                found.append(each)
                if len(found) == LAST_ATTEMPTS:
                    return found
        after = page.after
        if after is None:
            break
    return found


class ErrorName(NamedTuple):
    """The sum of a common error over several subscriptions."""

    outcome: str
    status: int | None
    text: str


@dataclass(slots=True, frozen=True)
class SummedGroups:
    """The groups with similar errors, of all subscriptions."""

    error: ErrorName
    subscriptions: int
    partners: int
    states: Mapping[GroupState, int]
    """How many groups are in each state."""
    changed: Millis
    """When one of them changed last."""
    last_seen: Millis
    seen: SeenErrors | None
    """None: none of them was seen."""


def summed(groups: list[FailureGroup], seen: Mapping[str, SeenErrors]) -> list[SummedGroups]:
    """Return groups summed over subscriptions and partners, those with most subscriptions first.

    Args:
        groups: The groups.
        seen: What was seen of them, by their ids.
    """
    by_error: dict[ErrorName, list[FailureGroup]] = {}
    for group in groups:
        name = ErrorName(group.outcome, group.status, group.text)
        by_error.setdefault(name, []).append(group)
    found = [_sum(name, each, seen) for name, each in by_error.items()]
    return sorted(found, key=lambda each: (-each.subscriptions, str(each.error)))


def _sum(
    name: ErrorName, groups: list[FailureGroup], seen: Mapping[str, SeenErrors]
) -> SummedGroups:
    found = [seen[group.id] for group in groups if group.id in seen]
    total = together(found) if found else None
    states = Counter(group.state for group in groups)
    last_seen = max(group.last_seen for group in groups)
    return SummedGroups(
        name,
        len({group.subscription_id for group in groups}),
        len({group.partner_id for group in groups}),
        {state: states[state] for state in GroupState},
        max(group.changed for group in groups),
        last_seen if total is None else max(last_seen, total.last_at),
        total,
    )


def look_and_write(
    looks: FailureLooks,
    index: FailureIndex,
    book: FailureBook,
    state: State,
    now: Millis,
    write: Callable[[Callable[[ChangeWriter], Due]], Due],
) -> Due:
    """Look once, and write the changes; if there are none, no writer is fenced.

    Args:
        looks: This console's looks.
        index: Its index.
        book: The groups as this console knows them.
        state: The tables, likewise.
        now: The present.
        write: Changes the tables by an act.

    Raises:
        HookstreamError: Nothing was written; the next look finds the same.
    """
    if state.unreadable:
        # A subscription whose row cannot be read at all would be taken for deleted.
        return Due()
    looked = looks.look(index, now)
    if looked is None:
        return Due()
    found = due(book, looked, owners_in(state), now, looks.quiet)
    if found.changed:
        found = write(lambda writer: write_due(writer, looked, looks.quiet))
    if not found.left and not found.refused:
        looks.written(looked)
    return found


def _write(writer: ChangeWriter, groups: list[FailureGroup]) -> None:
    """Write groups, each with its operations event, in one transaction."""
    session = writer.session
    if groups:
        console = session.names.console
        session.write(
            [
                TableChange(console, failure_group_key(group.id), write_failure_group(group))
                for group in groups
            ],
            [session.events.failures_changed(group) for group in groups],
        )
