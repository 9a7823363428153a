"""What commands need of failure groups, which consoles alone have: their index says what was seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hookstream.core.audit.entry import AuditEntry
from hookstream.core.failures.groups import Act, FailureGroup, GroupState
from hookstream.core.model.instant import Millis


@dataclass(slots=True, frozen=True)
class WantedFailures:
    """Which failure groups are asked for; None: any."""

    subscription: str | None = None
    partner: str | None = None
    states: frozenset[str] | None = None
    outcomes: frozenset[str] | None = None
    since: Millis | None = None
    """From when on errors are counted; None: the console's default."""


@dataclass(slots=True, frozen=True)
class CountedErrors:
    """Errors that were counted."""

    last_seen: Millis
    """The last error that is known of, whether it is counted or not."""
    count: int
    deliveries: int
    is_exact: bool
    """Whether `deliveries` is exact."""
    example: str | None
    """The newest error as it was; None: none was counted."""
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
    """Failure groups, the one that changed last before all others."""

    found: Sequence[FailureFacts]
    since: Millis
    """From when on errors are counted."""
    problems: Sequence[str] = ()
    """What limits what is counted."""


@dataclass(slots=True, frozen=True)
class SummedFailures:
    """The failure groups of all subscriptions whose errors look alike."""

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
    """Errors of all subscriptions together, those of most subscriptions before all others."""

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
    """Lists and shows failure groups, and acts on them. Each may raise what is said in `ports`."""

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
        """Act on a group, and return it as it is then.

        Args:
            name: Its id.
            act: What is done.
            note: What is said of it.
            revision: At which revision it must be; None: at any.

        Raises:
            InputRefused: There is none of this id.
            Conflict: It is at another revision, or its state does not allow the act.
        """
