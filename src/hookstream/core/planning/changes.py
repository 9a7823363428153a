"""A plan: the changes to write, the problems of the definitions, and notes for the user."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from hookstream.core.model.instant import Millis
from hookstream.core.model.subscription import SigningSecret, Subscription
from hookstream.core.planning.declared import Problem
from hookstream.core.planning.fields import Difference, Subject, named
from hookstream.errors import Conflict

_MARK: Final = 32
"""Hex digits of a mark."""


@dataclass(slots=True, frozen=True)
class Create:
    """A new partner or subscription. `before` is the deleted one with the same id, if any."""

    after: Subject
    before: Subscription | None = None
    generated: tuple[SigningSecret, ...] = ()
    start_from: Millis | None = None
    """Of a subscription: since when the past is replayed to it; None: it starts with the present."""


@dataclass(slots=True, frozen=True)
class Update:
    """A partner or subscription of which the given fields change."""

    before: Subject
    after: Subject
    differences: tuple[Difference, ...]
    generated: tuple[SigningSecret, ...] = ()


@dataclass(slots=True, frozen=True)
class Delete:
    """A partner or subscription to delete. A subscription keeps a row, so that its deliveries are cancelled."""

    before: Subject
    after: Subscription | None


@dataclass(slots=True, frozen=True)
class Unchanged:
    """A partner or subscription that is as declared."""

    before: Subject


Change: TypeAlias = Create | Update | Delete | Unchanged


@dataclass(slots=True, frozen=True)
class Plan:
    """The changes in a valid order of writing; none if there are problems."""

    changes: tuple[Change, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]

    @property
    def writes(self) -> tuple[Create | Update | Delete, ...]:
        """The changes that write something."""
        return tuple(change for change in self.changes if not isinstance(change, Unchanged))


def confirm(shown: Plan, made: Plan) -> None:
    """Check that a plan of the tables' present state equals the one that was shown.

    Raises:
        Conflict: Something was changed in between; the message names it.
    """
    confirm_marks(marks(shown), made)


def marks(made: Plan) -> Mapping[str, str]:
    """Return of each subject that is written a text that is another where another change is made of it.

    The same change of another revision has another one. No secret can be found from it.
    """
    return {
        name: hashlib.sha256(repr(found).encode("utf-8", "backslashreplace")).hexdigest()[:_MARK]
        for name, found in _fingerprints(made).items()
    }


def confirm_marks(before: Mapping[str, str], made: Plan) -> None:
    """Check that a plan of the tables' present state is the one whose marks were shown. Raises as `confirm`."""
    now = marks(made)
    moved = sorted(name for name in {**before, **now} if before.get(name) != now.get(name))
    if moved:
        raise Conflict(
            f"{moved[0]} was changed by somebody else since the plan was shown"
            + (f" (and {len(moved) - 1} more)" if len(moved) > 1 else "")
            + ": look at a new plan"
        )
    if made.problems:
        raise Conflict(f"{made.problems[0]} (since the plan was shown): look at a new plan")


def _fingerprints(made: Plan) -> dict[str, tuple[str, int, tuple[Difference, ...]]]:
    found: dict[str, tuple[str, int, tuple[Difference, ...]]] = {}
    for change in made.writes:
        match change:
            case Create(after, before):
                found[named(after)] = ("create", 0 if before is None else before.revision, ())
            case Update(before, _, changed):
                found[named(before)] = ("update", before.revision, changed)
            case Delete(before):
                found[named(before)] = ("delete", before.revision, ())
    return found
