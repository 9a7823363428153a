"""A plan: what is to be written, what is wrong with what was declared, and what should be known."""

from dataclasses import dataclass
from typing import TypeAlias

from hookstream.core.model.subscription import SigningSecret, Subscription
from hookstream.core.planning.declared import Problem
from hookstream.core.planning.fields import Difference, Subject, named
from hookstream.errors import Conflict


@dataclass(slots=True, frozen=True)
class Create:
    """Something new; `before` is what was deleted under the same id, if anything."""

    after: Subject
    before: Subscription | None = None
    generated: tuple[SigningSecret, ...] = ()


@dataclass(slots=True, frozen=True)
class Update:
    """Something that changes in the fields named."""

    before: Subject
    after: Subject
    differences: tuple[Difference, ...]
    generated: tuple[SigningSecret, ...] = ()


@dataclass(slots=True, frozen=True)
class Delete:
    """Something that goes; of a subscription a row remains, so that its deliveries are cancelled."""

    before: Subject
    after: Subscription | None


@dataclass(slots=True, frozen=True)
class Unchanged:
    """Something that is as declared."""

    before: Subject


Change: TypeAlias = Create | Update | Delete | Unchanged


@dataclass(slots=True, frozen=True)
class Plan:
    """What is to be written, in an order in which it may be; nothing where there are problems."""

    changes: tuple[Change, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]

    @property
    def writes(self) -> tuple[Create | Update | Delete, ...]:
        """The changes that change something."""
        return tuple(change for change in self.changes if not isinstance(change, Unchanged))


def confirm(shown: Plan, made: Plan) -> None:
    """Check that a plan made on the tables as they stand is the one that was shown.

    Raises:
        Conflict: Something was changed in between; it is named.
    """
    before, now = _fingerprints(shown), _fingerprints(made)
    moved = sorted(name for name in before | now if before.get(name) != now.get(name))
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
