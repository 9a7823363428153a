"""What the index is asked for, and what it answers: plain values that know nothing of SQLite."""

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
"""Where a list goes on: the key of the last item that was looked at. Plain values, which callers pass
back as they are; what was not made by the same list is refused with InputRefused."""

MOST_LISTED = 500
"""The largest `limit` of a list."""


class Window(NamedTuple):
    """For which time the index answers; what lies outside of it is not known, and not denied."""

    since: Millis | None
    """Attempts appended from here on are all known; None: none are known yet."""
    until: Millis | None
    """Up to here everything is known; None: nothing was read yet."""
    aside_since: Millis | None = None
    """Likewise for dead letters, undecodable records and operations events, which are kept for longer."""
    building: bool = False
    """Whether older hours are still being read, so that `since` moves back."""
    reading: bool = True
    """Whether the writer reads: it wrote something, if only the time, within the last 30 s."""


@dataclass(slots=True, frozen=True)
class Page(Generic[T]):
    """Part of a list."""

    items: tuple[T, ...]
    after: Cursor | None
    """Where the next part begins; None: this was the last. A page may be short, even empty, and have a next:
    a page looks at a bounded number of rows."""
    window: Window


@dataclass(slots=True, frozen=True)
class Whose:
    """The part of every filter that says whose things are wanted."""

    partner_id: str | None = None
    """Things of this partner alone. None: of all, which callers allow to operators only."""
    subscriptions: frozenset[str] | None = None
    """Of these subscriptions alone; None: of all."""


@dataclass(slots=True, frozen=True)
class AttemptFilter(Whose):
    """Selects the attempts that meet every given condition; None: any."""

    delivery_id: str | None = None
    """A delivery's id, or that of a batch."""
    event_id: str | None = None
    entity_id: str | None = None
    event_types: frozenset[str] | None = None
    outcomes: frozenset[str] | None = None
    """Words of outcomes; `none`: it ended without an attempt."""
    dispositions: frozenset[str] | None = None
    statuses: tuple[int, int] | None = None
    """HTTP statuses from the first to the second, both included: (500, 599)."""
    failed: bool | None = None
    """True: those that neither delivered nor were cancelled; False: those that did."""
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
    """Selects what waits in the tiers; None: any."""

    reasons: frozenset[str] | None = None
    """Words of `PendingRecord.reason`."""
    due_from: Millis | None = None
    """Due then or later; what is due at once is left out."""
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
    """HTTP statuses of the last answer, as texts."""
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
    """One audit entry, and its place."""

    entry: AuditEntry
    at: Millis
    """When it was appended to the attempts topic."""
    partition: int
    offset: int
    copies: int = 1
    """How many records were merged into it: the same delivery, run and attempt, made again after a crash."""


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
    """All that the window has of one delivery."""

    history: DeliveryHistory
    """Its attempts, copies merged, and its dead letters with what resolved them."""
    pending: tuple[PendingRecord, ...]
    """Where its runs wait, the one that is due first before all others."""
    subscription_id: str
    partner_id: str
    window: Window
    unmerged: tuple[AuditEntry, ...] = ()
    """All its attempts, copies by themselves; empty where there are no copies."""

    @property
    def entries(self) -> tuple[AuditEntry, ...]:
        """All its attempts, copies by themselves."""
        return self.unmerged or self.history.entries

    @property
    def event_type(self) -> str | None:
        """The type of its event; None: a dead letter alone mentions it."""
        named = (
            *(each.delivery.event_type for each in self.pending),
            *(each.event_type for each in self.history.entries[-1:]),
        )
        return next(iter(named), None)


class AsideRecord(NamedTuple):
    """A dead letter or an undecodable record, and what resolved it."""

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
    """Empty: it is about none."""
    partner_id: str
    """Empty: it is internal."""
    data: JsonObject
    """Its data, as it is published."""


@dataclass(slots=True, frozen=True)
class AsideGroup:
    """Records that were set aside, counted by what they have in common."""

    of: str
    """The subscription, or the origin's topic."""
    reason: str
    records: int
    oldest: Millis
    newest: Millis
    status: str = ""
    """Of the last answer; empty: there was none, or the record is undecodable."""


@dataclass(slots=True, frozen=True)
class AsideCounts:
    """Open dead letters or undecodable records, counted."""

    groups: tuple[AsideGroup, ...]
    """The largest first."""
    window: Window


@dataclass(slots=True, frozen=True)
class ReasonCount:
    """Dead letters or undecodable records of an interval that have a reason in common."""

    reason: str
    records: int
    """All that came, resolved ones too."""
    open: int
    """Those of them that are neither redriven nor purged."""

    def plus(self, other: "ReasonCount") -> "ReasonCount":
        """Return both together, for distinct records of one reason."""
        return ReasonCount(self.reason, self.records + other.records, self.open + other.open)


@dataclass(slots=True, frozen=True)
class ReasonCounts:
    """Dead letters or undecodable records that came within an interval, by their reasons."""

    reasons: tuple[ReasonCount, ...]
    """The largest first."""
    window: Window


@dataclass(slots=True, frozen=True)
class TierCount:
    """What waits in one tier for its next attempt."""

    topic: str
    runs: int
    overdue: int
    """Those of them that were due before this minute began."""
    overdue_since: Millis | None
    """The minute in which the first of them was due; None: none is overdue."""
    reasons: Mapping[str, int]
    """How many wait why, the most frequent first."""
    only_counted: int
    """Records beyond those that are kept by themselves: they are counted here alone. Of all partners."""


@dataclass(slots=True, frozen=True)
class DueCount:
    """How many runs of one tier fall due within one interval."""

    at: Millis
    """Its start."""
    topic: str
    runs: int


@dataclass(slots=True, frozen=True)
class WaitingSubscription:
    """What of one subscription waits."""

    subscription_id: str
    partner_id: str
    runs: int
    overdue: int
    reasons: Mapping[str, int]


@dataclass(slots=True, frozen=True)
class PendingSummary:
    """What waits in the tiers, and when it falls due."""

    tiers: tuple[TierCount, ...]
    due: tuple[DueCount, ...]
    """By interval and tier, the earliest first; intervals in which nothing falls due are left out."""
    later: int
    """Runs that fall due after the last interval."""
    subscriptions: tuple[WaitingSubscription, ...]
    """Those of which most waits, the first of them in front."""
    more_subscriptions: int
    """How many further ones something waits of."""
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
    """Of what is counted, and over which intervals."""

    tiers: frozenset[str] | None = None
    """Topics of tiers; None: of all."""
