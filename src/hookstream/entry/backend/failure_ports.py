"""The ports for failure groups, which only consoles have, from their index."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hookstream.core.audit.entry import AuditEntry
from hookstream.core.failures.groups import Act, FailureGroup, GroupState
from hookstream.core.model.instant import Millis


@dataclass(slots=True, frozen=True)
class WantedFailures:
    """The requested failure groups; None: any."""

    subscription: str | None = None
    partner: str | None = None
    states: frozenset[str] | None = None
    outcomes: frozenset[str] | None = None
    since: Millis | None = None
    """The instant from which errors are counted; None: the console's default."""


@dataclass(slots=True, frozen=True)
class CountedErrors:
    """Errors that were counted."""

    last_seen: Millis
    """The last known error, whether it is counted or not."""
    count: int
    deliveries: int
    is_exact: bool
    """Whether `deliveries` is exact."""
    example: str | None
    """The newest error, unchanged; None: none was counted."""
    delivery_id: str | None
    """Its delivery."""


@dataclass(slots=True, frozen=True)
class FailureFacts:
    """A failure group, and its errors of the counted time."""

    group: FailureGroup
    """To a partner, without the name and the note of an operator."""
    counted: CountedErrors


@dataclass(slots=True, frozen=True)
class FailureListing:
    """Failure groups, the last changed first."""

    found: Sequence[FailureFacts]
    since: Millis
    """The instant from which errors are counted."""
    problems: Sequence[str] = ()
    """The limits of the counts."""


@dataclass(slots=True, frozen=True)
class SummedFailures:
    """The failure groups with similar errors, of all subscriptions."""

    outcome: str
    status: int | None
    text: str
    subscriptions: int
    partners: int
    states: Mapping[GroupState, int]
    changed: Millis
    counted: CountedErrors


@dataclass(slots=True, frozen=True)
class FailureSums:
    """Errors of all subscriptions together, those of most subscriptions first."""

    found: Sequence[SummedFailures]
    since: Millis
    problems: Sequence[str] = ()


@dataclass(slots=True, frozen=True)
class FailureRead:
    """One failure group, and its newest attempts."""

    facts: FailureFacts
    attempts: Sequence[AuditEntry]
    """The newest first."""
    since: Millis
    problems: Sequence[str] = ()


class FailureCommands(Protocol):
    """Lists and shows failure groups, and acts on them. Each raises the exceptions that `ports.py` documents."""

    def listed(self, wanted: WantedFailures, limit: int) -> FailureListing:
        """Return at most `limit` groups."""

    def summed(self, wanted: WantedFailures, limit: int) -> FailureSums:
        """Return at most `limit` sums over all subscriptions; for operators."""

    def found(self, name: str, since: Millis | None) -> FailureRead:
        """Return one group.

        Raises:
            InputRefused: There is none of this id.
        """

    def act(self, name: str, act: Act, note: str, revision: int | None) -> FailureGroup:
        """Act on a group, and return the changed group.

        Args:
            name: Its id.
            act: The act.
            note: The note.
            revision: The revision that it must be at; None: any.

        Raises:
            InputRefused: There is none of this id.
            Conflict: It is at another revision, or its state does not allow the act.
        """
