"""A worker's in-memory state of the tables: subscriptions, partners with their grants, and statuses.

Pure and owned by the event loop. Rows are put and dropped as they are read, and whatever the path
of an event needs is prepared then: once per row, not once per event.
"""

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from functools import partial
from typing import Final

from hookstream.core.matching.fanout import (
    MOST_TESTS,
    Fanout,
    Match,
    Matching,
    Question,
    Request,
)
from hookstream.core.matching.granted import (
    EarlierAccess,
    GrantedType,
    GrantTimeline,
    asks_for,
    not_evaluable,
    open_to,
)
from hookstream.core.matching.holds import Holds
from hookstream.core.matching.pattern import Pattern, PatternRefused, parse
from hookstream.core.model.active_interval import gaps_of
from hookstream.core.model.instant import Millis
from hookstream.core.model.json import JsonObject
from hookstream.core.model.outcome import Refused
from hookstream.core.model.subscription import (
    Disabled,
    Partner,
    Subscription,
    SubscriptionState,
    UnreadableSubscription,
    VersionPin,
)
from hookstream.core.model.subscription_status import (
    Absent,
    Deleted,
    DisabledStatus,
    Live,
    Paused,
    SubscriptionStatus,
    Unreadable,
)

__all__ = ["Directory", "Match", "NotReplayed", "Question", "asks_for"]

_NEVER: Final[Millis] = 1 << 63
"""Later than every record."""


class NotReplayed(StrEnum):
    """Why a record of the past is not replayed to a subscription."""

    NOT_WANTED = "not_wanted"
    """The subscription does not ask for it: by its type, its environment or its filter."""
    NOT_GRANTED = "not_granted"
    """It matches, but the grant of its time or of today does not cover it."""


class Directory:
    """The effective state of the tables."""

    def __init__(self) -> None:
        """Start empty."""
        self.holds = Holds()
        self._partners: dict[str, GrantTimeline] = {}
        self._subscriptions: dict[str, Subscription | UnreadableSubscription] = {}
        self._patterns: dict[str, Pattern] = {}
        self._of_partner: dict[str, set[str]] = {}
        self._disabled: dict[str, Disabled] = {}
        self._blind: dict[str, str] = {}
        self._first_active: dict[str, Millis] = {}
        """A cache: when the first of a partner's subscriptions became active."""
        self._live: dict[str, Live] = {}
        """A cache: the status of subscriptions that are live whatever the time is."""
        self._fanouts: dict[str, Fanout] = {}
        """By event type, built when a type is first requested."""

    # Rows.

    def put_partner(self, partner: Partner) -> None:
        """Apply a partner's row."""
        self._partners[partner.id] = GrantTimeline(partner)
        self._refile_partner(partner.id)

    def drop_partner(self, partner_id: str) -> None:
        """Remove a partner: its subscriptions are granted nothing."""
        if self._partners.pop(partner_id, None) is not None:
            self._refile_partner(partner_id)

    def put_subscription(self, subscription: Subscription | UnreadableSubscription) -> None:
        """Apply a subscription's row.

        A subscription whose pattern this release cannot read is kept as unreadable: it is matched
        by type and its deliveries wait, since matching everything and dropping would both be wrong.
        """
        self._forget(subscription.id)
        pattern: Pattern | None = None
        if isinstance(subscription, Subscription) and _may_match(subscription):
            try:
                pattern = None if subscription.pattern is None else parse(subscription.pattern)
            except PatternRefused as refused:
                subscription = _unreadable(subscription, str(refused))
        self._subscriptions[subscription.id] = subscription
        if pattern is not None:
            self._patterns[subscription.id] = pattern
        self._of_partner.setdefault(subscription.partner_id, set()).add(subscription.id)
        self._first_active.pop(subscription.partner_id, None)
        self._refile(subscription.id)

    def drop_subscription(self, subscription_id: str) -> None:
        """Remove a subscription: from now on it is absent."""
        self._forget(subscription_id)
        self._refile(subscription_id)

    def put_disabled(self, disabled: Disabled) -> None:
        """Apply a health row: the subscription receives no record after `since`."""
        self._disabled[disabled.subscription_id] = disabled
        self._refile(disabled.subscription_id)

    def drop_disabled(self, subscription_id: str) -> None:
        """Apply the removal of a health row."""
        if self._disabled.pop(subscription_id, None) is not None:
            self._refile(subscription_id)

    def put_blind(self, key: str, why: str) -> None:
        """Add a row whose envelope cannot be read: nothing may be matched meanwhile."""
        self._blind[key] = why

    def drop_blind(self, key: str) -> None:
        """Remove a row from the blind ones: it can be read again, or is gone."""
        self._blind.pop(key, None)

    # Questions.

    @property
    def blind(self) -> Mapping[str, str]:
        """Reasons by key of unreadable rows that may concern any event; nothing matches meanwhile."""
        return self._blind

    @property
    def subscriptions(self) -> Mapping[str, Subscription | UnreadableSubscription]:
        """Every subscription, including deleted ones that are still retained."""
        return self._subscriptions

    @property
    def partners(self) -> Mapping[str, Partner]:
        """A copy of every partner; too slow for the path of an event."""
        return {partner_id: read.partner for partner_id, read in self._partners.items()}

    def partner_of(self, subscription_id: str) -> Partner | None:
        """Return the row of a subscription's partner, if there are both."""
        subscription = self._subscriptions.get(subscription_id)
        read = None if subscription is None else self._partners.get(subscription.partner_id)
        return None if read is None else read.partner

    def status(self, subscription_id: str, now: Millis) -> SubscriptionStatus:
        """Return a subscription's status.

        A pause begins at the start of its gap, shortly after it was written, so that all workers
        pause at the same time. It ends when the row that ends it is read, so that no waiting
        delivery is deferred once more. Disabled outranks paused: pending deliveries are given up.
        """
        live = self._live.get(subscription_id)
        if live is not None:
            # Called twice for each attempt.
            return live
        subscription = self._subscriptions.get(subscription_id)
        if subscription is None:
            return Absent()
        if isinstance(subscription, UnreadableSubscription):
            return Unreadable(subscription)
        if subscription.state is SubscriptionState.DELETED:
            return Deleted(subscription.id, subscription.partner_id)
        read = self._partners.get(subscription.partner_id)
        partner = None if read is None else read.partner
        disabled = self._disabled.get(subscription_id)
        if disabled is not None:
            return DisabledStatus(subscription, partner, disabled)
        if subscription.state is SubscriptionState.PAUSED:
            since = _paused_since(subscription)
            if since < now:
                return Paused(subscription, partner, since)
            return Live(subscription, partner)
        live = self._live[subscription_id] = Live(subscription, partner)
        return live

    def is_disabled(self, subscription_id: str) -> bool:
        """Return whether the health table disables a subscription."""
        return subscription_id in self._disabled

    def enabled_since(self, subscription_id: str, instant: Millis) -> bool:
        """Return whether a disabled subscription was enabled again at `instant` or later."""
        subscription = self._subscriptions.get(subscription_id)
        return subscription is not None and any(
            gap.reason == "disabled" and gap.end is not None and gap.end >= instant
            for gap in subscription.gaps
        )

    def has_subscribers(self, event_type: str, timestamp: Millis) -> bool:
        """Return whether any subscription may match a record of this type and time."""
        return self._fanout(event_type).has_subscribers(timestamp)

    def match(self, question: Question, load: int = 0) -> Iterator[Match | None]:
        """Yield an event's matches in the order of subscription ids, one step at a time.

        Yields None after every few requests evaluated, so that other tasks can run in between; the
        larger `load`, the event's, the fewer. Bodies are rendered only if a pattern needs them.
        Rows that change between two steps do not change which requests are evaluated.
        """
        return self._fanout(question.event_type).match(question, load)

    def is_heavy(self, event_type: str, load: int, timestamp: Millis) -> bool:
        """Return whether matching an event of this load would block the event loop for long."""
        return self._fanout(event_type).is_heavy(load, timestamp)

    def matching(self, question: Question) -> Matching:
        """Return a `Matching` with the same results as `match`, whose steps may run in a thread."""
        return Matching(self._fanout(question.event_type), question)

    def judge(self, subscription_id: str, question: Question) -> Callable[[], Match | None]:
        """Return a function, callable in a thread, that matches one subscription as it is now."""
        return self._fanout(question.event_type).judge(subscription_id, question)

    def judge_past(
        self, subscription_id: str, question: Question, *, as_granted_today: bool = False
    ) -> Callable[[], Match | NotReplayed]:
        """Return a function, callable in a thread, that judges one record for a replay.

        It asks as `match` does, by the subscription's filter and versions as they are now and by the
        grants as `granted` does with `past`, but not for the active interval. NOT_WANTED also if there
        is no such subscription, or none that can be read: ask for its `status` first.
        """
        subscription = self._subscriptions.get(subscription_id)
        if not isinstance(subscription, Subscription) or not _may_match(subscription):
            return lambda: NotReplayed.NOT_WANTED
        return partial(
            _judged_past,
            subscription,
            self._patterns.get(subscription_id),
            self._opened(
                self._partners.get(subscription.partner_id),
                question.event_type,
                question.environment,
                question.timestamp,
                as_granted_today=as_granted_today,
                past=True,
            ),
            question,
        )

    def pattern_tests(self, subscription_id: str) -> int:
        """Return how many comparisons the pattern of a subscription makes for one value."""
        pattern = self._patterns.get(subscription_id)
        return 0 if pattern is None else pattern.tests

    def grant_is_heavy(self, partner: Partner | None, load: int, timestamp: Millis) -> bool:
        """Return whether evaluating a partner's grants on this load would block the loop for long."""
        read = None if partner is None else self._partners.get(partner.id)
        return read is not None and load * read.tests(timestamp) > MOST_TESTS

    def granted(
        self,
        partner: Partner | None,
        event_type: str,
        environment: str,
        timestamp: Millis,
        document: Callable[[], JsonObject | Refused],
        *,
        as_granted_today: bool = False,
        past: bool = False,
    ) -> bool | Refused:
        """Return whether the partner may see the event of a record, by the grants of then and of today.

        Checked before every attempt, and wherever something of the past is replayed or shown.

        Args:
            partner: The partner; None: there is none, and nothing is granted.
            event_type: The event's type.
            environment: The event's environment.
            timestamp: The record's in its first topic.
            document: Returns the body that would be sent; called only if a grant has a pattern.
            as_granted_today: Leave the grant of the record's time out: an operator says so.
            past: For replays and views of the past. If it is not known since when the partner's
                oldest grant held (a row of an earlier release), nothing is granted of the time before
                its first subscription. Without it, whatever was matched stays granted.

        Returns:
            Refused if the pattern of a grant cannot be evaluated.
        """
        if partner is None:
            return False
        read = self._partners.get(partner.id)
        if read is None or read.partner is not partner:
            read = GrantTimeline(partner)
        if timestamp > read.changed and not past:
            # Nearly every attempt takes this path: today's grant alone, which caches the type.
            access = read.now.opens(event_type, None)
            if access is None:
                return False
            if access.environments is not None and environment not in access.environments:
                return False
            return not access.is_filtered or open_to((access,), document)
        accesses = self._opened(
            read, event_type, environment, timestamp, as_granted_today=as_granted_today, past=past
        )
        return bool(accesses) and open_to(accesses, document)

    def grants_type(
        self, partner: Partner | None, event_type: str, timestamp: Millis | None = None
    ) -> bool:
        """Return whether a partner's grant names an event type today, the only check for a test.

        Of a record that is no event nothing else can be asked; its `timestamp` is given then, and the
        grant of that time must name the type too.
        """
        read = None if partner is None else self._partners.get(partner.id)
        if read is None:
            return False
        then = read.now if timestamp is None else read.at(timestamp)
        return all(
            grant is not None and grant.opens(event_type, None) is not None
            for grant in (read.now, then)
        )

    def _opened(
        self,
        read: GrantTimeline | None,
        event_type: str,
        environment: str,
        timestamp: Millis,
        *,
        as_granted_today: bool,
        past: bool,
    ) -> tuple[GrantedType, ...]:
        if read is None:
            return ()
        if past and not as_granted_today and not self._is_known(read, timestamp):
            return ()
        return read.opens(event_type, environment, timestamp, as_granted_today=as_granted_today)

    def _is_known(self, read: GrantTimeline, timestamp: Millis) -> bool:
        """Return whether it is known what was granted at an instant."""
        if read.is_known(timestamp):
            return True
        partner_id = read.partner.id
        first = self._first_active.get(partner_id)
        if first is None:
            own = map(self._subscriptions.__getitem__, self._of_partner.get(partner_id, ()))
            first = min((each.active_from for each in own if _may_match(each)), default=_NEVER)
            self._first_active[partner_id] = first
        return timestamp > first

    # Indexing.

    def _fanout(self, event_type: str) -> Fanout:
        fanout = self._fanouts.get(event_type)
        if fanout is None:
            fanout = self._fanouts[event_type] = Fanout()
            for subscription in self._subscriptions.values():
                request = self._request(subscription, event_type)
                if request is not None:
                    fanout.put(request)
        return fanout

    def _forget(self, subscription_id: str) -> None:
        self._live.pop(subscription_id, None)
        self._patterns.pop(subscription_id, None)
        old = self._subscriptions.pop(subscription_id, None)
        if old is not None:
            self._first_active.pop(old.partner_id, None)
            theirs = self._of_partner[old.partner_id]
            theirs.discard(old.id)
            if not theirs:
                del self._of_partner[old.partner_id]

    def _refile_partner(self, partner_id: str) -> None:
        for subscription_id in self._of_partner.get(partner_id, ()):
            self._refile(subscription_id)

    def _refile(self, subscription_id: str) -> None:
        """Index a subscription again for each event type requested so far; it, its partner or its health changed."""
        self._live.pop(subscription_id, None)
        subscription = self._subscriptions.get(subscription_id)
        for event_type, fanout in self._fanouts.items():
            request = None if subscription is None else self._request(subscription, event_type)
            if request is None:
                fanout.drop(subscription_id)
            else:
                fanout.put(request)

    def _request(
        self, subscription: Subscription | UnreadableSubscription, event_type: str
    ) -> Request | None:
        """Return a subscription's prepared request for a type, or None if it can never match."""
        partner = self._partners.get(subscription.partner_id)
        if partner is None or not asks_for(subscription.event_types, event_type):
            return None
        environments: frozenset[str] | None = None
        pin: VersionPin = 0
        if isinstance(subscription, Subscription):
            if not _may_match(subscription) or subscription.endpoint.is_pull:
                return None
            if subscription.environments is not None:
                environments = frozenset(subscription.environments)
            pin = subscription.pin(event_type)
        access = partner.now.opens(event_type, environments)
        if access is None:
            return None
        return Request(
            subscription=subscription,
            pin=pin,
            pattern=self._patterns.get(subscription.id),
            active_from=subscription.active_from,
            gaps=self._gaps(subscription),
            access=access,
            granted_from=partner.changed,
            earlier=EarlierAccess(partner, event_type, environments),
        )

    def _gaps(
        self, subscription: Subscription | UnreadableSubscription
    ) -> tuple[tuple[Millis, Millis | None], ...]:
        gaps = gaps_of(subscription, self._disabled.get(subscription.id))
        return tuple((gap.start, gap.end) for gap in gaps)


def _may_match(subscription: Subscription | UnreadableSubscription) -> bool:
    """Return whether it is not deleted, as far as can be read."""
    if isinstance(subscription, UnreadableSubscription):
        return True
    return subscription.state is not SubscriptionState.DELETED


def _judged_past(
    subscription: Subscription,
    pattern: Pattern | None,
    accesses: tuple[GrantedType, ...],
    question: Question,
) -> Match | NotReplayed:
    """Judge one record for a replay to a subscription, given what its partner is granted of it."""
    own = subscription.environments
    if not asks_for(subscription.event_types, question.event_type) or (
        own is not None and question.environment not in own
    ):
        return NotReplayed.NOT_WANTED
    version = question.version(subscription.pin(question.event_type))
    verdict: bool | Refused = True
    if pattern is not None:
        body = question.body(version)
        if isinstance(body, Refused):
            verdict = not_evaluable("its filter", body)
        else:
            verdict = pattern.matches(body)
    if verdict is False:
        return NotReplayed.NOT_WANTED
    granted = bool(accesses) and open_to(accesses, partial(question.body, version))
    if granted is False:
        return NotReplayed.NOT_GRANTED
    refused = verdict if isinstance(verdict, Refused) else granted
    return Match(subscription, version, refused if isinstance(refused, Refused) else None)


def _paused_since(subscription: Subscription) -> Millis:
    starts = [g.start for g in subscription.gaps if g.end is None and g.reason == "paused"]
    return min(starts, default=subscription.active_from)


def _unreadable(subscription: Subscription, why: str) -> UnreadableSubscription:
    return UnreadableSubscription(
        id=subscription.id,
        partner_id=subscription.partner_id,
        event_types=subscription.event_types,
        active_from=subscription.active_from,
        gaps=subscription.gaps,
        why=why,
    )
