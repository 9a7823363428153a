"""Finds deliveries for operators: the pending ones with their reasons, the ended ones, and the details of one.

Pending deliveries are in the tiers, ended ones in the attempts topic and among the dead letters. A delivery
without an attempt and without a tier record is in none of them: its event is not matched yet, or it waits in
a worker's lane.
"""

from collections import deque
from dataclasses import dataclass, field

from hookstream.adapters.index.answers import AsideRecord
from hookstream.adapters.index.delivery_views import dead_record
from hookstream.adapters.kafka.scan import ReadLimit
from hookstream.core.audit.history import DeliveryHistory, DeliveryState
from hookstream.core.audit.run_states import (
    PendingRecord,
    RunState,
    RunStates,
    Selected,
    waiting,
)
from hookstream.core.model import header_names
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import Record, header_text
from hookstream.core.model.subscription_status import SubscriptionStatus
from hookstream.core.redrive.marks import RedriveSource
from hookstream.core.redrive.summary import DeadLetterSummary, summary_of
from hookstream.entry.admin.audit import AuditLog, AuditSelection, history_from
from hookstream.entry.admin.dead_letters import DeadLetterReader
from hookstream.entry.admin.pending import PendingReader, unsettled_events
from hookstream.entry.admin.subscriptions import directory_of
from hookstream.entry.admin.tables import State, read_state
from hookstream.errors import ConfigurationError
from hookstream.settings import Settings

MOST_LISTED = 50_000
"""The least number of deliveries that are kept in memory, the newest."""

MOST_RECORDS = 100
"""How many tier records, and how many dead letters, of one delivery are kept, with their values: those that
were read last. Each of its runs has one of either, or a few copies."""


@dataclass(slots=True, frozen=True)
class DeliverySelection:
    """Selects the runs of deliveries that meet every given condition."""

    subscriptions: frozenset[str] | None = None
    """None here and below: any."""
    partners: frozenset[str] | None = None
    event_types: frozenset[str] | None = None
    event: str | None = None
    """The id of the event."""
    states: frozenset[str] | None = None
    """Values of `DeliveryState`."""
    reasons: frozenset[str] | None = None
    since: Millis | None = None
    """They entered their state at this instant or later."""

    @property
    def only_pending(self) -> bool:
        """Whether it selects only pending runs."""
        return self.states == frozenset({DeliveryState.PENDING.value})

    def may_select(
        self, subscription_id: str, partner_id: str, event_type: str, event_id: str
    ) -> bool:
        """Return whether it selects a run of this delivery in some state."""
        given = (
            (self.subscriptions, subscription_id),
            (self.partners, partner_id),
            (self.event_types, event_type),
        )
        return self.event in (None, event_id) and all(
            names is None or name in names for names, name in given
        )

    def selects(self, state: RunState) -> bool:
        """Return whether it selects a run in a state."""
        if self.since is not None and state.at < self.since:
            return False
        if self.states is not None and state.state.value not in self.states:
            return False
        if self.reasons is not None and state.reason not in self.reasons:
            return False
        return self.may_select(
            state.subscription_id, state.partner_id, state.event_type, state.event_id
        )


@dataclass(slots=True)
class DeliveryReaders:
    """The readers of all topics that have deliveries; each reads at most `most` offsets."""

    settings: Settings
    most: int
    pending: PendingReader = field(init=False)
    attempts: AuditLog = field(init=False)
    dead_letters: DeadLetterReader = field(init=False)
    attempts_limit: ReadLimit = field(init=False)
    """What was read of the attempts topic."""
    dead_letters_limit: ReadLimit = field(init=False)
    """What was read of the dead letters."""

    def __post_init__(self) -> None:
        """Bound each of them."""
        settings, dead = self.settings, RedriveSource.DEAD_LETTERS
        self.attempts_limit = ReadLimit(self.most)
        self.dead_letters_limit = ReadLimit(self.most)
        self.pending = PendingReader(settings, self.most)
        self.attempts = AuditLog(settings, limit=self.attempts_limit)
        self.dead_letters = DeadLetterReader(settings, dead, limit=self.dead_letters_limit)

    @property
    def all(self) -> tuple[PendingReader, AuditLog, DeadLetterReader]:
        """All three."""
        return self.pending, self.attempts, self.dead_letters


@dataclass(slots=True, frozen=True)
class DeliveryListing:
    """The selected runs. The readers have what was not read for them."""

    selected: Selected
    dropped: int
    """Runs that were dropped from memory, because too many newer ones were read."""
    ended_since: Millis | None
    """Ended runs were read from this instant on; None: only the tiers were read."""
    unsettled_events: int | None
    """The most records of event topics that may be unsettled; their deliveries may be in no topic yet. None:
    not known."""
    unreadable_marks: tuple[str, ...] = ()
    """Unreadable marks of jobs: the records that they resolved are listed as open."""


def listed(
    readers: DeliveryReaders, selection: DeliverySelection, ended_since: Millis
) -> DeliveryListing:
    """Read the runs that a selection selects.

    Unsettled records are counted first, and the tiers are read next: a delivery of an earlier event that
    moves or ends meanwhile was counted, or is found in a topic that is read later.

    Args:
        readers: Read the topics, each once.
        selection: Which runs.
        ended_since: The instant from which attempts and dead letters are read, unless only pending runs are selected.

    Raises:
        ConfigurationError: A topic may not be read.
        DependencyUnavailable: The cluster does not answer.
    """
    unsettled = unsettled_events(readers.settings)
    states = RunStates(MOST_LISTED)
    for record, delivery in readers.pending.deliveries():
        who = delivery.subscription_id, delivery.partner_id
        if selection.may_select(*who, delivery.event_type, delivery.event_id):
            states.pending(PendingRecord.of(delivery, record))
    marks: tuple[str, ...] = ()
    if not selection.only_pending:
        marks = _read_ended(readers, selection, ended_since, states)
    return DeliveryListing(
        states.selected(selection.selects),
        states.dropped,
        None if selection.only_pending else ended_since,
        unsettled,
        marks,
    )


def _read_ended(
    readers: DeliveryReaders, selection: DeliverySelection, since: Millis, states: RunStates
) -> tuple[str, ...]:
    """Read the ended runs; return the marks that cannot be read."""
    entries = AuditSelection(
        subscriptions=selection.subscriptions,
        partners=selection.partners,
        event_types=selection.event_types,
        event=selection.event,
        since=since,
    )
    for entry in readers.attempts.entries(entries):
        states.entry(entry)
    ledger, problems = readers.dead_letters.read_ledger()
    for record in readers.dead_letters.between(since, None):
        summary = summary_of(record)
        who = summary.subscription_id, summary.partner_id
        if summary.delivery_id and selection.may_select(
            *who, summary.event_type, summary.event_id
        ):
            by = ledger.resolved_by(RedriveSource.DEAD_LETTERS, summary.position)
            states.dead(dead_record(AsideRecord(summary, by)))
    return tuple(f"{problem.key}: {problem.why}" for problem in problems)


@dataclass(slots=True, frozen=True)
class DeliveryDetails:
    """Everything that the topics have about one delivery."""

    delivery_id: str
    history: DeliveryHistory
    pending: tuple[PendingRecord, ...]
    """Where its runs wait, the one that is due first at the front."""
    dead: tuple[DeadLetterSummary, ...]
    """Its dead letters, the oldest first."""
    records: tuple[Record, ...]
    """Its tier records, including settled copies, then its dead letters, the newest first."""

    @property
    def is_known(self) -> bool:
        """Whether any record that was read mentions it."""
        return bool(self.pending or self.dead or self.history.entries)

    @property
    def subscription_id(self) -> str:
        """Its subscription; empty: only a dead letter mentions the delivery, without its subscription."""
        entries = self.history.entries
        named = (
            *(each.delivery.subscription_id for each in self.pending),
            *(each.subscription_id for each in entries[-1:]),
            *(each.subscription_id for each in self.dead[-1:]),
        )
        return next(filter(None, named), "")

    @property
    def event_type(self) -> str:
        """The type of its event; empty: it is not known."""
        entries = self.history.entries
        named = (
            *(each.delivery.event_type for each in self.pending),
            *(each.event_type for each in entries[-1:]),
            *(each.event_type for each in self.dead[-1:]),
        )
        return next(filter(None, named), "")


def details_of(
    readers: DeliveryReaders,
    delivery_id: str,
    since: Millis | None = None,
    until: Millis | None = None,
) -> DeliveryDetails:
    """Read everything about one delivery.

    Args:
        readers: Read the topics, each once.
        delivery_id: The delivery.
        since: The start of the window of attempts and dead letters; None: everything that they have.
        until: Its end; None: everything.

    Raises:
        ConfigurationError: A topic may not be read.
        DependencyUnavailable: The cluster does not answer.
    """
    found = deque(
        (
            (PendingRecord.of(delivery, record), record)
            for record, delivery in readers.pending.deliveries()
            if delivery.delivery_id == delivery_id
        ),
        MOST_RECORDS,
    )
    selection = AuditSelection(delivery=delivery_id, since=since, until=until)
    entries = list(readers.attempts.entries(selection))
    letters = sorted(
        deque(
            (
                record
                for record in readers.dead_letters.between(since, until)
                if header_text(record.headers, header_names.DELIVERY_ID) == delivery_id
            ),
            MOST_RECORDS,
        ),
        key=lambda record: record.timestamp,
    )
    dead = tuple(map(summary_of, letters))
    return DeliveryDetails(
        delivery_id,
        history_from(delivery_id, entries, readers.dead_letters, dead),
        tuple(waiting((pending for pending, _ in found), entries)),
        dead,
        (*(record for _, record in found), *reversed(letters)),
    )


def readable_state(settings: Settings) -> State | None:
    """Return the tables; None: they cannot be read.

    Raises:
        DependencyUnavailable: The cluster does not answer.
    """
    try:
        return read_state(settings)
    except ConfigurationError:
        # An operator who may only read the audit log still gets answers from it.
        return None


def status_of(
    state: State | None, details: DeliveryDetails, now: Millis
) -> SubscriptionStatus | None:
    """Return the status of a delivery's subscription under the holds; None: it is not known."""
    if state is None or not details.subscription_id:
        return None
    directory = directory_of(state)
    status = directory.status(details.subscription_id, now)
    return directory.holds.over(status, details.event_type or None)
