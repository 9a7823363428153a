"""All failure groups, and which of them change by what an index has seen: a bounded number at a time."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from hookstream.core.failures.groups import (
    KEPT_RESOLVED,
    Errors,
    FailureGroup,
    GroupState,
    SeenErrors,
    after_errors,
    after_its_subscription,
    after_quiet,
    group_id,
)
from hookstream.core.model.instant import Millis
from hookstream.core.statistics.errors import OTHERS, Fingerprint

MOST_OF_SUBSCRIPTION: Final = 100
"""How many groups a subscription has, resolved ones among them; further errors of it are one group together."""

MOST_GROUPS: Final = 10_000
"""How many groups there are; beyond, none is opened.

A partner has at most as many as are left, so that others find room whatever it does: alone at most half of all.
Resolved groups count, those of its deleted subscriptions among them.
"""

MOST_AT_ONCE: Final = 100
"""How many groups one look changes at most; the next one changes further ones."""


class FailureBook:
    """The failure groups by id; for one thread at a time."""

    def __init__(self) -> None:
        self._groups: dict[str, FailureGroup] = {}
        self._unreadable: set[str] = set()

    def __len__(self) -> int:
        """Return how many rows there are, unreadable ones among them."""
        return len(self._groups) + len(self._unreadable)

    def put(self, name: str, group: FailureGroup | None, *, unreadable: bool = False) -> None:
        """Take a group's row.

        Args:
            name: Its id.
            group: None: it has no row, or one that cannot be read.
            unreadable: Whether its row cannot be read: a newer release may have written it, so it stays.
        """
        self._groups.pop(name, None)
        self._unreadable.discard(name)
        if group is not None:
            self._groups[name] = group
        elif unreadable:
            self._unreadable.add(name)

    def get(self, name: str) -> FailureGroup | None:
        """Return a group; None: there is none, or its row cannot be read."""
        return self._groups.get(name)

    def groups(self) -> list[FailureGroup]:
        """Return all groups."""
        return list(self._groups.values())

    def is_unreadable(self, name: str) -> bool:
        """Return whether a group's row cannot be read."""
        return name in self._unreadable

    def has(self, errors: Errors) -> bool:
        """Return whether errors have a group of their own, readable or not."""
        name = group_id(errors)
        return name in self._groups or name in self._unreadable

    def copy(self) -> "FailureBook":
        """Return a book that does not change with this one."""
        made = FailureBook()
        made._groups, made._unreadable = dict(self._groups), set(self._unreadable)
        return made

    def counts(self) -> dict[GroupState, int]:
        """Return how many groups are in each state."""
        found = Counter(group.state for group in self._groups.values())
        return {state: found[state] for state in GroupState}

    def forgettable(self, now: Millis) -> Iterator[str]:
        """Yield the ids of groups that were resolved long ago."""
        for group in list(self._groups.values()):
            if group.state is GroupState.RESOLVED and group.changed + KEPT_RESOLVED <= now:
                yield group.id


@dataclass(slots=True, frozen=True)
class Looked:
    """What an index has seen within some time."""

    since: Millis
    """From then on it has everything."""
    until: Millis
    """Up to then it has everything."""
    errors: Mapping[Errors, SeenErrors]
    successes: Mapping[str, Millis]
    """The last success of each subscription that had one."""


@dataclass(slots=True)
class Due:
    """What changes."""

    changed: list[FailureGroup] = field(default_factory=list)
    """Groups as they are then."""
    left: int = 0
    """Changes that are left for the next look."""
    refused: int = 0
    """Groups that are not opened, since there are too many, or too many of their partner."""

    def add(self, group: FailureGroup | None, most: int) -> None:
        """Add a change; None: there is none."""
        if group is None:
            return
        if len(self.changed) >= most:
            self.left += 1
        else:
            self.changed.append(group)


def due(
    book: FailureBook,
    looked: Looked,
    owners: Mapping[str, str],
    now: Millis,
    quiet: Millis,
    most: int = MOST_AT_ONCE,
) -> Due:
    """Return what changes by itself. Once that is written, the same look changes nothing.

    Args:
        book: The groups as they are.
        looked: What was seen.
        owners: The partners of all subscriptions that are not deleted.
        now: The brokers' time.
        quiet: For how long a group must not have been seen until it resolves by itself.
        most: How many groups change at most.
    """
    found = Due()
    last_of: dict[str, Millis] = {}
    size, owned = len(book), Counter(group.partner_id for group in book.groups())
    for errors, seen in _grouped(book, looked.errors, owners).items():
        name = group_id(errors)
        last_of[name] = seen.last_at
        group = book.get(name)
        if group is None:
            if book.is_unreadable(name):
                continue
            if owned[errors.partner_id] >= MOST_GROUPS - size:
                found.refused += 1
                continue
            size += 1
            owned[errors.partner_id] += 1
        found.add(after_errors(group, errors, seen, now), most)
    for group in book.groups():
        if owners.get(group.subscription_id) != group.partner_id:
            found.add(after_its_subscription(group, now), most)
        elif looked.since <= now - quiet:
            success = looked.successes.get(group.subscription_id)
            found.add(after_quiet(group, last_of.get(group.id), success, now, quiet), most)
    return found


def others_of(errors: Errors) -> Errors:
    """Return the errors that stand for all of a subscription that have no group of their own."""
    rest = Fingerprint(errors.fingerprint.subscription_id, "none", None, OTHERS)
    return Errors(errors.partner_id, rest)


def by_group(book: FailureBook, seen: Mapping[Errors, SeenErrors]) -> dict[str, SeenErrors]:
    """Return what was seen by the id of the group that it counts for; of a group without a row nothing."""
    found: dict[str, SeenErrors] = {}
    for errors, each in seen.items():
        name = group_id(errors if book.has(errors) else others_of(errors))
        if book.get(name) is not None:
            known = found.get(name)
            found[name] = each if known is None else known.joined(each)
    return found


def _grouped(
    book: FailureBook, seen: Mapping[Errors, SeenErrors], owners: Mapping[str, str]
) -> dict[Errors, SeenErrors]:
    """Return what was seen by the errors of its group: those that have none and no place are others."""
    sizes = Counter(group.subscription_id for group in book.groups())
    found: dict[Errors, SeenErrors] = {}
    for errors, each in sorted(seen.items(), key=_order):
        subscription_id = errors.fingerprint.subscription_id
        if owners.get(subscription_id) != errors.partner_id:
            continue
        own = errors
        if not book.has(errors):
            if sizes[subscription_id] < MOST_OF_SUBSCRIPTION:
                sizes[subscription_id] += 1
            else:
                own = others_of(errors)
        known = found.get(own)
        found[own] = each if known is None else known.joined(each)
    return found


def _order(each: tuple[Errors, SeenErrors]) -> tuple[Millis, str]:
    errors, seen = each
    return seen.first_at, group_id(errors)
