"""The filters and answers of the index: plain values, independent of SQLite."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from hookstream.core.audit.entry import AuditEntry
from hookstream.core.audit.history import DeliveryHistory, DeliveryState
from hookstream.core.audit.run_states import PendingRecord, RunState
from hookstream.core.model.instant import Millis
from hookstream.core.model.json import JsonObject
from hookstream.core.redrive.ledger import ResolvedBy
from hookstream.core.redrive.summary import DeadLetterSummary

T = TypeVar("T")

Cursor: TypeAlias = tuple[int | str, ...]
"""Where a list continues: the key of the last item that was examined. Plain values, which callers pass
back unchanged; a cursor of another list is refused with InputRefused."""

MOST_LISTED = 500
"""The largest `limit` of a list."""


class Window(NamedTuple):
    """The time for which the index answers; of records outside of it nothing is known."""

    since: Millis | None
    """Attempts appended from here on are all known; None: none are known yet."""
    until: Millis | None
    """Everything up to here is known; None: nothing was read yet."""
    aside_since: Millis | None = None
    """As `since`, for dead letters, undecodable records and operations events, which are kept for longer."""
    building: bool = False
    """Whether older hours are still being read, so that `since` moves back."""
    reading: bool = True
    """Whether the writer is reading: it wrote something, at least the time, within the last 30 s."""


@dataclass(slots=True, frozen=True)
class Page(Generic[T]):
    """Part of a list."""

    items: tuple[T, ...]
    after: Cursor | None
    """Where the next part begins; None: this was the last. A page may be short or even empty and have
    a next one, since a page examines a bounded number of rows."""
    window: Window


@dataclass(slots=True, frozen=True)
class Whose:
    """The part of every filter that selects a partner and subscriptions."""

    partner_id: str | None = None
    """Only this partner's. None: all partners', which callers allow to operators only."""
    subscriptions: frozenset[str] | None = None
    """Only these subscriptions'; None: all."""


@dataclass(slots=True, frozen=True)
class AttemptFilter(Whose):
    """Selects the attempts that meet every given condition; None: any."""

    delivery_id: str | None = None
    """A delivery's id, or that of a batch."""
    event_id: str | None = None
    entity_id: str | None = None
    event_types: frozenset[str] | None = None
    outcomes: frozenset[str] | None = None
    """Names of outcomes; `none`: it ended without an attempt."""
    dispositions: frozenset[str] | None = None
    statuses: tuple[int, int] | None = None
    """HTTP statuses from the first to the second, both included: (500, 599)."""
    failed: bool | None = None
    """True: those that were neither delivered nor cancelled; False: the others."""
    since: Millis | None = None
    """Appended at this instant or later."""
    until: Millis | None = None
    """Appended before this instant."""


@dataclass(slots=True, frozen=True)
class DeliveryFilter(Whose):
    """Selects the runs of deliveries that meet every given condition; None: any."""

    event_id: str | None = None
    entity_id: str | None = None
    event_types: frozenset[str] | None = None
    states: frozenset[DeliveryState] | None = None
    since: Millis | None = None
    """Their event was appended at this instant or later."""
    until: Millis | None = None
    """Their event was appended before this instant."""


@dataclass(slots=True, frozen=True)
class PendingFilter(Whose):
    """Selects waiting tier records; None: any."""

    reasons: frozenset[str] | None = None
    """Values of `PendingRecord.reason`."""
    due_from: Millis | None = None
    """Due then or later; records that are due at once are left out."""
    due_before: Millis | None = None
    tiers: frozenset[str] | None = None
    """Topics of tiers."""


@dataclass(slots=True, frozen=True)
class DeadLetterFilter(Whose):
    """Selects dead letters; None: any."""

    event_types: frozenset[str] | None = None
    event_id: str | None = None
    delivery_id: str | None = None
    reasons: frozenset[str] | None = None
    statuses: frozenset[str] | None = None
    """HTTP statuses of the last answer, as text."""
    open: bool | None = None
    """True: neither redriven nor purged; False: resolved."""
    since: Millis | None = None
    """Appended at this instant or later."""
    until: Millis | None = None


@dataclass(slots=True, frozen=True)
class UndecodableFilter:
    """Selects undecodable records, which belong to no partner; None: any."""

    origin_topics: frozenset[str] | None = None
    reasons: frozenset[str] | None = None
    open: bool | None = None
    since: Millis | None = None
    until: Millis | None = None


@dataclass(slots=True, frozen=True)
class OperationsFilter(Whose):
    """Selects operations events; None: any. With a partner, those without one are left out."""

    types: frozenset[str] | None = None
    since: Millis | None = None
    until: Millis | None = None


@dataclass(slots=True, frozen=True)
class IndexedAttempt:
    """One audit entry, and its place in the attempts topic."""

    entry: AuditEntry
    at: Millis
    """When it was appended to the attempts topic."""
    partition: int
    offset: int
    copies: int = 1
    """The number of records merged into it: the same delivery, run and attempt, repeated after a crash."""


@dataclass(slots=True, frozen=True)
class IndexedDelivery:
    """One run of a delivery."""

    state: RunState
    entity_id: str
    """Empty: not known, since no attempt was made yet."""
    origin_at: Millis
    """When its event was appended."""


@dataclass(slots=True, frozen=True)
class DeliveryAnswer:
    """Everything about one delivery in the window."""

    history: DeliveryHistory
    """Its attempts, with copies merged, and its dead letters with their resolutions."""
    pending: tuple[PendingRecord, ...]
    """The tier records of its runs, in the order of their due times."""
    subscription_id: str
    partner_id: str
    window: Window
    unmerged: tuple[AuditEntry, ...] = ()
    """All its attempts, with separate copies; empty if there are no copies."""

    @property
    def entries(self) -> tuple[AuditEntry, ...]:
        """All its attempts, with separate copies."""
        return self.unmerged or self.history.entries

    @property
    def event_type(self) -> str | None:
        """The type of its event; None: only a dead letter mentions it."""
        named = (
            *(each.delivery.event_type for each in self.pending),
            *(each.event_type for each in self.history.entries[-1:]),
        )
        return next(iter(named), None)


class AsideRecord(NamedTuple):
    """A dead letter or an undecodable record, and its resolution."""

    summary: DeadLetterSummary
    resolved_by: ResolvedBy | None
    """None: it is open."""


@dataclass(slots=True, frozen=True)
class OperationsEvent:
    """One event of the operations topic."""

    at: Millis
    """When it was appended."""
    partition: int
    offset: int
    type: str
    event_id: str
    subscription_id: str
    """Empty: it concerns none."""
    partner_id: str
    """Empty: it is internal."""
    data: JsonObject
    """Its data, as published."""


@dataclass(slots=True, frozen=True)
class AsideGroup:
    """A count of set-aside records with the same subscription or topic, reason and status."""

    of: str
    """The subscription, or the origin's topic."""
    reason: str
    records: int
    oldest: Millis
    newest: Millis
    status: str = ""
    """The status of the last answer; empty: there was none, or the record is undecodable."""


@dataclass(slots=True, frozen=True)
class AsideCounts:
    """Open dead letters or undecodable records, counted."""

    groups: tuple[AsideGroup, ...]
    """The largest first."""
    window: Window


@dataclass(slots=True, frozen=True)
class ReasonCount:
    """Dead letters or undecodable records of an interval with the same reason."""

    reason: str
    records: int
    """All records, including resolved ones."""
    open: int
    """Those of them that are neither redriven nor purged."""

    def plus(self, other: "ReasonCount") -> "ReasonCount":
        """Return the sum of both, for distinct records of one reason."""
        return ReasonCount(self.reason, self.records + other.records, self.open + other.open)


@dataclass(slots=True, frozen=True)
class ReasonCounts:
    """Dead letters or undecodable records appended within an interval, by reason."""

    reasons: tuple[ReasonCount, ...]
    """The largest first."""
    window: Window


@dataclass(slots=True, frozen=True)
class TierCount:
    """The runs that wait in one tier for their next attempt."""

    topic: str
    runs: int
    overdue: int
    """Those of them that were due before this minute began."""
    overdue_since: Millis | None
    """The minute in which the first of them was due; None: none is overdue."""
    reasons: Mapping[str, int]
    """The number of runs by reason, the most frequent first."""
    only_counted: int
    """Records beyond those that have rows: they are only counted, here. They are of all partners."""


@dataclass(slots=True, frozen=True)
class DueCount:
    """The number of runs of one tier that fall due within one interval."""

    at: Millis
    """The start of the interval."""
    topic: str
    runs: int


@dataclass(slots=True, frozen=True)
class WaitingSubscription:
    """The waiting runs of one subscription."""

    subscription_id: str
    partner_id: str
    runs: int
    overdue: int
    reasons: Mapping[str, int]


@dataclass(slots=True, frozen=True)
class PendingSummary:
    """The runs that wait in the tiers, and when they fall due."""

    tiers: tuple[TierCount, ...]
    due: tuple[DueCount, ...]
    """By interval and tier, the earliest first; intervals in which nothing falls due are left out."""
    later: int
    """Runs that fall due after the last interval."""
    subscriptions: tuple[WaitingSubscription, ...]
    """Those with the most waiting runs, in descending order."""
    more_subscriptions: int
    """The number of further subscriptions with waiting runs."""
    only_counted: int
    """Runs beyond the two million that have rows: they are counted here only, in no list and for no
    subscription. They are of all partners, so a partner only learns whether there are any."""
    unmatched: int
    """Records of events that are still to be matched: their subscriptions are not known yet."""
    unreadable: int
    """Records whose headers do not give a delivery's state."""
    window: Window


@dataclass(slots=True, frozen=True)
class DueFilter(Whose):
    """Selects the waiting runs that are counted."""

    tiers: frozenset[str] | None = None
    """Topics of tiers; None: of all."""
