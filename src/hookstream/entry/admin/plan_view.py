"""A plan as it is shown, on Kafka and over HTTP alike: the changes as texts, without any secret."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hookstream.core.delivery.address import scrub
from hookstream.core.model.instant import Millis, to_rfc3339
from hookstream.core.planning.changes import (
    Change,
    Create,
    Delete,
    Plan,
    Unchanged,
    Update,
    marks,
)
from hookstream.core.planning.declared import EARLIEST_START, Problem
from hookstream.core.planning.fields import Difference, fields_of, named


@dataclass(slots=True, frozen=True)
class ShownChange:
    """A change of a plan."""

    action: str
    """`create`, `update`, `delete`, or `none` for what is as declared."""
    subject: str
    """`partner acme`, `subscription orders`."""
    fields: Sequence[tuple[str, str]] = ()
    """Of what is created, by path."""
    start_from: str | None = None
    """`earliest` or a time: since when the past is replayed to what is created."""
    was_deleted: bool = False
    """Whether it starts over under the id of a deleted one."""
    differences: Sequence[Difference] = ()
    """Of what is updated."""
    mark: str = ""
    """As `marks` says; empty: nothing is written."""
    generates: int = 0
    """How many signing secrets are generated for it."""


@dataclass(slots=True, frozen=True)
class ShownPlan:
    """A plan."""

    changes: Sequence[ShownChange]
    problems: Sequence[Problem] = ()
    notes: Sequence[str] = ()

    @property
    def writes(self) -> Sequence[ShownChange]:
        """The changes that write something."""
        return [each for each in self.changes if each.mark]

    @property
    def marks(self) -> Mapping[str, str]:
        """The mark of each subject that is written."""
        return {each.subject: each.mark for each in self.writes}


def shown_plan(made: Plan) -> ShownPlan:
    """Return a plan as it is shown."""
    marked = marks(made)
    return ShownPlan(
        [_shown(change, marked) for change in made.changes], made.problems, made.notes
    )


def _shown(change: Change, marked: Mapping[str, str]) -> ShownChange:
    match change:
        case Create(after, before, generated, start_from):
            subject = named(after)
            fields = [(path, field.shown) for path, field in fields_of(after, scrub).items()]
            return ShownChange(
                "create",
                subject,
                fields,
                None if start_from is None else _start(start_from),
                before is not None,
                mark=marked[subject],
                generates=len(generated),
            )
        case Update(before, _, found, generated):
            subject = named(before)
            return ShownChange(
                "update",
                subject,
                differences=found,
                mark=marked[subject],
                generates=len(generated),
            )
        case Delete(before):
            return ShownChange("delete", named(before), mark=marked[named(before)])
        case Unchanged(before):
            return ShownChange("none", named(before))


def _start(start_from: Millis) -> str:
    return "earliest" if start_from == EARLIEST_START else to_rfc3339(start_from)
