"""Explains why an event did, or did not, arrive: its place, each subscription's conditions, and its deliveries."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Final, NamedTuple, Protocol

from hookstream.adapters.kafka.scan import LogScan, Stretch
from hookstream.adapters.system import SystemClock
from hookstream.core.audit.history import DeliveryHistory
from hookstream.core.delivery.identity import delivery_id
from hookstream.core.matching.directory import Question
from hookstream.core.matching.explaining import is_shown_to, unmet
from hookstream.core.matching.granted import asks_for
from hookstream.core.model import header_names as names
from hookstream.core.model.active_interval import Arrival, arrival_of
from hookstream.core.model.event import Event, Identified
from hookstream.core.model.instant import MINUTE, Millis, to_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import Origin, Record, TopicPartition, header_text
from hookstream.core.model.record_place import RecordPlace, place_of
from hookstream.core.model.subscription import Subscription, SubscriptionState
from hookstream.core.model.subscription_status import Held, Live, SubscriptionStatus
from hookstream.core.offsets.group_position import GroupPosition
from hookstream.core.redrive.ledger import Ledger
from hookstream.core.redrive.marks import Position, RedriveSource
from hookstream.core.redrive.summary import summary_of
from hookstream.entry.admin.audit import AuditLog, AuditSelection, history_of
from hookstream.entry.admin.dead_letters import DeadLetterReader
from hookstream.entry.admin.event_search import EventSearch, FoundRecord, SearchBudget
from hookstream.entry.admin.explanation import (
    Aside,
    EventFacts,
    ExplainedEvent,
    ExplainedRecord,
    ExplainedSubscription,
    Explanation,
    SubscriptionChange,
)
from hookstream.entry.admin.partitions import ReadPartitions
from hookstream.entry.admin.subscriptions import directory_of, status_text
from hookstream.entry.admin.tables import State, no_subscription, read_state
from hookstream.entry.cluster import reached
from hookstream.errors import InputRefused
from hookstream.settings import Settings

MOST_SUBSCRIPTIONS: Final = 50
"""The most subscriptions that are explained for one event."""
SKEW: Final = MINUTE
"""How much earlier than its event's record an attempt may seem to have begun: a worker's time is not its broker's."""
MOST_HISTORIES: Final = 10
"""The most deliveries of one event whose history is read."""
MOST_CHANGES: Final = 20
"""The most changes of one subscription that are listed, the latest ones."""

_NO_TRACE: Final = "neither the audit log nor a tier nor a dead letter has it; {}"
_AUDIT_UNREAD: Final = "the audit log was not read to its end, so there may be attempts"
_SUSPENDED: Final = "suspended"
"""The text about a hold that a partner sees."""
_CHANGED: Final = "subscription.changed"


@dataclass(slots=True, frozen=True)
class ExplainRequest:
    """The request for an explanation."""

    target: str | RecordPlace
    """The event's id, or the place of its record."""
    since: Millis
    """An id is searched in records of this instant or later."""
    subscription_id: str | None = None
    """The only subscription that is explained; None: all that ask for the type."""
    partner_id: str | None = None
    """The partner that asks: the answer leaves out events that it is not granted, and others' subscriptions.
    None: an operator asks."""


class Mentioned(NamedTuple):
    """Deliveries of an event that have a history."""

    deliveries: frozenset[str]
    are_all: bool
    """Whether all records of that time were read."""


_NOTHING: Final = Mentioned(frozenset(), are_all=True)


class Histories(Protocol):
    """Where attempts and dead letters are looked up, within the search's budget."""

    def mentioned(self, event: Event, since: Millis, until: Millis) -> Mentioned:
        """Return the deliveries of an event that have a history; the budget notes what was not read.

        Args:
            event: The event.
            since: What was recorded before is not wanted.
            until: What was recorded up to here is wanted; later records may be found too.
        """

    def of(self, delivery_id: str, since: Millis) -> DeliveryHistory | None:
        """Return the history of a delivery; None: it could not be read."""


def explain(
    settings: Settings,
    request: ExplainRequest,
    budget: SearchBudget | None = None,
    state: State | None = None,
    histories: Histories | None = None,
) -> Explanation:
    """Explain an event.

    Args:
        settings: The cluster.
        request: Which event, for whom.
        budget: How much is read at most.
        state: The tables; None: they are read.
        histories: The source of attempts; None: the audit log.

    Raises:
        InputRefused: There is no such subscription or place, or the id is empty.
        DependencyUnavailable: The cluster does not answer.
    """
    budget = budget or SearchBudget()
    state = read_state(settings) if state is None else state
    only = request.subscription_id
    if only is not None and only not in state.current.subscriptions:
        raise no_subscription(state, only)
    search = EventSearch(settings, budget)
    found = _found(search, request.target, request.since)
    budget.renew()
    explainer = _Explainer(
        settings, search, state, request, histories or AuditHistories(settings, budget)
    )
    events = explainer.explained(found) if found else []
    return Explanation(events, budget.searched, budget.left_out)


def _found(search: EventSearch, target: str | RecordPlace, since: Millis) -> list[FoundRecord]:
    if isinstance(target, RecordPlace):
        return [search.at(*target)]
    if not target.strip():
        raise InputRefused("the event's id is empty: give its id, or TOPIC/PARTITION@OFFSET")
    found = search.by_id(target, since)
    search.budget.left_out.append(
        f"event topics before {to_rfc3339(since)}: --since searches further back"
    )
    return found or search.aside_by_id(target, since)


@dataclass(slots=True, frozen=True)
class AuditHistories:
    """Looks attempts up in the audit log. Implements `Histories`."""

    settings: Settings
    budget: SearchBudget

    def mentioned(self, event: Event, since: Millis, until: Millis) -> Mentioned:
        """As `Histories` says."""
        del until  # The log is read to its present end.
        audit = AuditLog(self.settings, self.budget.progress)
        selection = AuditSelection(event=event.event_id, since=max(0, since - SKEW))
        topic = self.settings.topics_names.attempts
        left_out = len(self.budget.left_out)
        entries = self.budget.within(topic, since, lambda: audit.entries(selection))
        seen = frozenset(entry.delivery_id for entry in entries)
        return Mentioned(seen, len(self.budget.left_out) == left_out)

    def of(self, delivery_id: str, since: Millis) -> DeliveryHistory | None:
        """As `Histories` says."""
        progress = self.budget.progress
        audit = AuditLog(self.settings, progress)
        dead_letters = DeadLetterReader(self.settings, RedriveSource.DEAD_LETTERS, progress)
        found = self.budget.within(
            f"the history of {delivery_id}",
            since,
            lambda: [history_of(audit, dead_letters, delivery_id, max(0, since - SKEW))],
        )
        return next(iter(list(found)), None)


class _Explainer:
    """Explains the records that were found, within the search's budget."""

    def __init__(
        self,
        settings: Settings,
        search: EventSearch,
        state: State,
        request: ExplainRequest,
        histories: Histories,
    ) -> None:
        self._settings = settings
        self._search = search
        self._budget = search.budget
        self._state = state
        self._only, self._partner_id = request.subscription_id, request.partner_id
        self._reader = histories
        self._directory = directory_of(state)
        self._now = SystemClock().now()
        self._histories = 0

    def explained(self, found: Sequence[FoundRecord]) -> list[ExplainedEvent]:
        """Return the explanation of each record that its asker may see."""
        found = [each for each in found if self._may_see(each)]
        if not found:
            return []
        since = max(0, min(each.origin.timestamp for each in found))
        # Before what was set aside: what a worker moves meanwhile was not settled yet, or is met there. What ended
        # meanwhile still counts as waiting; its history, which is read last, says that it ended.
        origins = [each.origin for each in found]
        positions = self._positions(origins)
        settled_at = SystemClock().now()
        # What is redriven moves from a dead-letter topic to a tier, and is resolved from then on. It is met in a tier,
        # or was open.
        given_up = self._search.given_up(origins, since)
        resolved = self._resolved(wanted=any(map(len, given_up.values())))
        waiting = self._search.waiting(origins, since)
        changes = self._changes(since)
        explained = []
        for each in found:
            records = given_up[each.origin.place] + waiting[each.origin.place]
            asides = [self._aside(record, positions, resolved) for record in records]
            settled = _settled(each.origin, positions)
            one = ExplainedEvent(
                _record(each), [a for a in asides if a.subscription_id is None], settled
            )
            if each.event is not None:
                arrival = self._arrival(records)
                self._subscriptions(one, each.event, asides, arrival, settled_at)
            for subscription in one.subscriptions:
                subscription.changes = changes.get(subscription.subscription_id, ())
            explained.append(one)
        return explained

    def _subscriptions(
        self,
        one: ExplainedEvent,
        event: Event,
        asides: Sequence[Aside],
        arrival: Arrival,
        settled_at: Millis,
    ) -> None:
        """Explain the event for each subscription that asks for its type.

        Args:
            one: Receives the subscriptions.
            event: The event.
            asides: Its set-aside records.
            arrival: How a worker last received it.
            settled_at: When it was known what is settled. What was settled then has its attempts recorded.
        """
        asked = self._asked(event.event_type)
        one.left_out = max(0, len(asked) - MOST_SUBSCRIPTIONS)
        since = max(0, event.origin.timestamp)
        seen = self._reader.mentioned(event, since, settled_at) if asked else _NOTHING
        question = self._question(event, arrival)
        for name in asked[:MOST_SUBSCRIPTIONS]:
            explained = self._subscription(name, event, question)
            mine = [each for each in asides if each.subscription_id == name]
            # A copy older than the newest one is read, but not settled yet.
            tiers = [each for each in mine if each.kind == "tier" and each.is_open]
            explained.waits = max(tiers, key=lambda each: each.at, default=None)
            dead = any(each.kind == "dead_letter" for each in mine)
            if dead or explained.delivery_id in seen.deliveries:
                self._read_history(explained, since)
            elif not seen.are_all:
                explained.note = _AUDIT_UNREAD
            elif not explained.unmet and explained.waits is None:
                explained.note = _NO_TRACE.format(one.settled)
            one.subscriptions.append(explained)

    def _arrival(self, records: Sequence[Record]) -> Arrival:
        """Return how the event came to a worker last: from its topic, or from a tier for everybody."""
        delay_of = self._settings.topics_names.delay_of
        came = Arrival.LIVE
        for record in sorted(records, key=lambda each: each.timestamp):
            in_tier = delay_of(record.topic) is not None
            if in_tier and header_text(record.headers, names.SUBSCRIPTION_ID) is None:
                reason = header_text(record.headers, names.REASON)
                came = arrival_of(in_tier=True, undecodable_as=reason)
        return came

    def _question(self, event: Event, arrival: Arrival = Arrival.LIVE) -> Question:
        decoder = self._search.decoder
        return Question(
            event.event_type,
            event.environment,
            event.origin.timestamp,
            partial(decoder.body, event),
            decoder.latest(event.event_type),
            arrival,
        )

    def _may_see(self, found: FoundRecord) -> bool:
        """Return whether the asker may see a record: a partner sees events that it is, and was, granted."""
        if self._partner_id is None:
            return True
        event = found.event
        if event is None:
            return False
        question = self._question(event)
        read = map(self._state.current.subscriptions.get, self._asked(event.event_type))
        mine = [each for each in read if isinstance(each, Subscription)]
        return is_shown_to(self._directory, self._partner_id, mine, question)

    def _asked(self, event_type: str) -> list[str]:
        """Return the subscriptions to explain: the named one, or those that ask for the type."""
        if self._only is not None:
            return [self._only]
        return sorted(
            name
            for name, each in self._state.current.subscriptions.items()
            if self._partner_id in (None, each.partner_id)
            and asks_for(each.event_types, event_type)
            and (self._partner_id is None or isinstance(each, Subscription))
            and not (isinstance(each, Subscription) and each.state is SubscriptionState.DELETED)
        )

    def _subscription(self, name: str, event: Event, question: Question) -> ExplainedSubscription:
        subscription = self._state.current.subscriptions[name]
        disabled = self._state.current.disabled.get(name)
        status = self._directory.holds.over(
            self._directory.status(name, self._now), event.event_type
        )
        return ExplainedSubscription(
            subscription_id=name,
            partner_id=subscription.partner_id,
            status=self._status_text(status),
            unmet=unmet(self._directory, subscription, disabled, question),
            delivery_id=delivery_id(event.event_type, event.event_id, name),
        )

    def _status_text(self, status: SubscriptionStatus) -> str:
        if isinstance(status, Live):
            return ""
        if isinstance(status, Held) and self._partner_id is not None:
            return _SUSPENDED
        return status_text(status, self._now)

    def _read_history(self, explained: ExplainedSubscription, since: Millis) -> None:
        self._histories += 1
        if self._histories > MOST_HISTORIES:
            explained.note = f"only {MOST_HISTORIES} histories are read: name the subscription"
            return
        explained.history = self._reader.of(explained.delivery_id, since)

    def _positions(self, origins: Iterable[Origin]) -> dict[TopicPartition, GroupPosition]:
        """Return the settled positions of the records' partitions and of all tiers."""
        # Topics are listed once, and again if that failed.
        listed = cache(partial(ReadPartitions, self._settings))

        def of_events() -> Iterable[GroupPosition]:
            places = [TopicPartition(origin.topic, origin.partition) for origin in origins]
            return listed().of_these_events(places)

        def of_tiers() -> Iterable[GroupPosition]:
            return listed().of_tiers(oldest=False)

        found: dict[TopicPartition, GroupPosition] = {}
        for where, read in (("event topics", of_events), ("tiers", of_tiers)):
            what = f"the positions of workers in {where}"
            found |= {each.at: each for each in self._budget.within(what, None, read)}
        return found

    def _resolved(self, *, wanted: bool) -> Mapping[RedriveSource, Ledger]:
        """Return the redriven dead letters and undecodable records, if there are any."""
        if not wanted:
            return {}
        reader = DeadLetterReader(self._settings, RedriveSource.DEAD_LETTERS)
        try:
            return dict.fromkeys(RedriveSource, reader.ledger())
        except InputRefused as problem:
            self._budget.left_out.append(f"which records were redriven: {problem}")
            return {}

    def _changes(self, since: Millis) -> Mapping[str, Sequence[SubscriptionChange]]:
        """Return the changes of every subscription since an instant, as operations events have them."""
        topic = self._settings.topics_names.operations
        scan = LogScan(reached(self._settings), topic)
        window, progress = Stretch(since=since), self._budget.progress
        found: dict[str, list[SubscriptionChange]] = defaultdict(list)
        decoder = self._search.decoder
        for record in self._budget.within(
            topic, since, lambda: scan.read(window, progress=progress)
        ):
            identified = decoder.identify(record)
            if (
                not isinstance(identified, Identified)
                or identified.revision.event_type != _CHANGED
            ):
                continue
            document = decoder.document(identified, record, tagged=False)
            data = document.get("data") if isinstance(document, dict) else None
            if isinstance(data, dict):
                changes = found[str(data.get("subscription_id"))]
                changes.append(_change(data, record.timestamp))
                del changes[:-MOST_CHANGES]
        return found

    def _aside(
        self,
        record: Record,
        positions: Mapping[TopicPartition, GroupPosition],
        resolved: Mapping[RedriveSource, Ledger],
    ) -> Aside:
        topics = self._settings.topics_names
        summary = summary_of(record)
        source = {
            topics.dead_letters: RedriveSource.DEAD_LETTERS,
            topics.undecodable: RedriveSource.UNDECODABLE,
        }.get(record.topic)
        if source is None:
            kind, position = "tier", positions.get(record.where)
            is_open = position is None or not position.settles(record.offset)
            why = header_text(record.headers, names.DEFERRED_REASON) or summary.last
        else:
            kind = "dead_letter" if source is RedriveSource.DEAD_LETTERS else "undecodable"
            at = Position(record.partition, record.offset)
            is_open = source not in resolved or resolved[source].is_open(source, at)
            why = f"{summary.reason}: {summary.detail}" if summary.detail else summary.reason
        return Aside(
            place=place_of(record.origin),
            kind=kind,
            at=record.timestamp,
            subscription_id=summary.subscription_id or None,
            why=why,
            due_at=header_text(record.headers, names.DUE_AT),
            is_open=is_open,
        )


def _record(found: FoundRecord) -> ExplainedRecord:
    event = found.event
    facts = None
    if event is not None:
        facts = EventFacts(
            event.event_id,
            event.event_type,
            event.revision.event_version,
            event.environment,
            event.entity_id,
            event.revision.fingerprint,
        )
    return ExplainedRecord(
        place_of(found.origin),
        found.origin.timestamp,
        found.record.topic,
        place_of(found.record.origin) if found.is_aside else None,
        found.problem,
        facts,
    )


def _change(data: JsonObject, at: Millis) -> SubscriptionChange:
    revision = data.get("revision")
    return SubscriptionChange(
        at=to_rfc3339(at),
        change=str(data.get("change")),
        revision=revision if isinstance(revision, int) else 0,
        changed_by=str(data.get("changed_by") or ""),
    )


def _settled(origin: Origin, positions: Mapping[TopicPartition, GroupPosition]) -> str:
    """Return a sentence on whether workers are done with a record."""
    position = positions.get(TopicPartition(origin.topic, origin.partition))
    if position is None:
        return "it is not known whether workers read its topic"
    if not position.has_leader and not position.settles(origin.offset):
        return "its record is not settled, and no broker leads its partition"
    if position.settles(origin.offset):
        return "workers have settled its record"
    if position.holder is None:
        return "its record is not settled, and no worker is assigned its partition"
    before = max(0, origin.offset - position.unread_from)
    return f"its record is not settled yet; at most {before:,} before it are not either"
