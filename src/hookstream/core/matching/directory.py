"""A worker's in-memory state of the tables: subscriptions, partners with their grants, and statuses.

Pure and owned by the event loop. Rows are put and dropped as they are read, and whatever the path
of an event needs is prepared then: once per row, not once per event.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from hookstream.core.matching.fanout import (
    MOST_TESTS,
    Fanout,
    GrantedType,
    Match,
    Matching,
    Question,
    Request,
    open_to,
)
from hookstream.core.matching.holds import Holds
from hookstream.core.matching.pattern import Pattern, PatternRefused, parse
from hookstream.core.model.instant import Millis
from hookstream.core.model.json import JsonObject
from hookstream.core.model.operations import OPERATIONS_EVENTS, OWN_PREFIXES
from hookstream.core.model.outcome import Refused
from hookstream.core.model.subscription import (
    Disabled,
    Grant,
    Partner,
    Subscription,
    SubscriptionState,
    UnreadableSubscription,
    VersionPin,
    covers,
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

__all__ = ["Directory", "Match", "Question", "asks_for"]


@dataclass(slots=True, frozen=True)
class _ReadGrant:
    """A grant with its parsed pattern, or with the reason why it cannot be parsed."""

    grant: Grant
    pattern: Pattern | None
    problem: str | None
    partner_id: str

    def opens(self, event_type: str, own: frozenset[str] | None) -> GrantedType | None:
        """Return what it grants of a type to a subscription to `own` environments (None: all)."""
        if not asks_for(self.grant.event_types, event_type):
            return None
        granted = frozenset(self.grant.environments)
        environments = own if "*" in granted else granted if own is None else granted & own
        if environments is not None and not environments:
            return None
        all_partners = self.grant.operator or event_type not in OPERATIONS_EVENTS
        about = None if all_partners else self.partner_id
        return GrantedType(environments, self.pattern, self.problem, about)


@dataclass(slots=True, frozen=True)
class _ReadPartner:
    """A partner with its grants prepared."""

    partner: Partner
    now: _ReadGrant
    before: _ReadGrant | None
    tests: int
    """How many comparisons the patterns of its grants make for one value."""

    def at(self, timestamp: Millis) -> _ReadGrant | None:
        """Return the grant that applies to records of this time."""
        return self.now if timestamp > self.partner.grant_from else self.before


class Directory:
    """The effective state of the tables."""

    def __init__(self) -> None:
        """Start empty."""
        self.holds = Holds()
        self._partners: dict[str, _ReadPartner] = {}
        self._subscriptions: dict[str, Subscription | UnreadableSubscription] = {}
        self._patterns: dict[str, Pattern] = {}
        self._of_partner: dict[str, set[str]] = {}
        self._disabled: dict[str, Disabled] = {}
        self._blind: dict[str, str] = {}
        self._fanouts: dict[str, Fanout] = {}
        """By event type, built when a type is first requested."""

    # Rows.

    def put_partner(self, partner: Partner) -> None:
        """Apply a partner's row."""
        self._partners[partner.id] = _read_partner(partner)
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

    def status(self, subscription_id: str, now: Millis) -> SubscriptionStatus:
        """Return a subscription's status.

        A pause begins at the start of its gap, shortly after it was written, so that all workers
        pause at the same time. It ends when the row that ends it is read, so that no waiting
        delivery is deferred once more. Disabled outranks paused: pending deliveries are given up.
        """
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

    def wants(self, event_type: str, timestamp: Millis) -> bool:
        """Return whether any subscription may match a record of this type and time."""
        return self._fanout(event_type).wants(timestamp)

    def match(self, question: Question, load: int = 0) -> Iterator[Match | None]:
        """Yield an event's matches in the order of subscription ids, one step at a time.

        Yields None after every few requests evaluated, so that other tasks can run in between; the
        larger `load`, the event's, the fewer. Bodies are rendered only if a pattern needs them.
        Rows that change between two steps do not change which requests are evaluated.
        """
        return self._fanout(question.event_type).match(question, load)

    def is_heavy(self, event_type: str, load: int) -> bool:
        """Return whether matching an event of this load would block the event loop for long."""
        return self._fanout(event_type).is_heavy(load)

    def matching(self, question: Question) -> Matching:
        """Return a `Matching` with the same results as `match`, whose steps may run in a thread."""
        return Matching(self._fanout(question.event_type), question)

    def judge(self, subscription_id: str, question: Question) -> Callable[[], Match | None]:
        """Return a function, callable in a thread, that matches one subscription as it is now."""
        return self._fanout(question.event_type).judge(subscription_id, question)

    def grant_is_heavy(self, partner: Partner | None, load: int) -> bool:
        """Return whether evaluating a partner's grant on this load would block the loop for long."""
        read = None if partner is None else self._partners.get(partner.id)
        return read is not None and load * read.tests > MOST_TESTS

    def granted(
        self,
        partner: Partner | None,
        event_type: str,
        environment: str,
        timestamp: Millis,
        document: Callable[[], JsonObject | Refused],
    ) -> bool | Refused:
        """Return whether the partner may receive the event; checked again before every attempt.

        `document` returns the body that would be sent and is called only if the grant has a
        pattern. Refused: the grant's pattern could not be evaluated.
        """
        if partner is None:
            return False
        read = self._partners.get(partner.id)
        if read is None or read.partner is not partner:
            read = _read_partner(partner)
        grant = read.at(timestamp)
        access = None if grant is None else grant.opens(event_type, None)
        if access is None:
            return False
        if access.environments is not None and environment not in access.environments:
            return False
        return open_to(access, document)

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
        self._patterns.pop(subscription_id, None)
        old = self._subscriptions.pop(subscription_id, None)
        if old is not None:
            theirs = self._of_partner[old.partner_id]
            theirs.discard(old.id)
            if not theirs:
                del self._of_partner[old.partner_id]

    def _refile_partner(self, partner_id: str) -> None:
        for subscription_id in self._of_partner.get(partner_id, ()):
            self._refile(subscription_id)

    def _refile(self, subscription_id: str) -> None:
        """Index a subscription again for each event type requested so far."""
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
            if not _may_match(subscription):
                return None
            if subscription.environments is not None:
                environments = frozenset(subscription.environments)
            pin = subscription.pin(event_type)
        access = partner.now.opens(event_type, environments)
        before = partner.before
        previous = None if before is None else before.opens(event_type, environments)
        if access is None and previous is None:
            return None
        return Request(
            subscription=subscription,
            pin=pin,
            pattern=self._patterns.get(subscription.id),
            active_from=subscription.active_from,
            gaps=self._gaps(subscription),
            access=access,
            grant_from=partner.partner.grant_from,
            previous=previous,
        )

    def _gaps(
        self, subscription: Subscription | UnreadableSubscription
    ) -> tuple[tuple[Millis, Millis | None], ...]:
        gaps = tuple((gap.start, gap.end) for gap in subscription.gaps)
        disabled = self._disabled.get(subscription.id)
        return gaps if disabled is None else (*gaps, (disabled.since, None))


def asks_for(globs: tuple[str, ...], event_type: str) -> bool:
    """Return whether names and globs include a type; hookstream's own types match by name only."""
    if event_type.startswith(OWN_PREFIXES):
        return event_type in globs
    return covers(globs, event_type)


def _may_match(subscription: Subscription) -> bool:
    return subscription.state is not SubscriptionState.DELETED


def _paused_since(subscription: Subscription) -> Millis:
    starts = [g.start for g in subscription.gaps if g.end is None and g.reason == "paused"]
    return min(starts, default=subscription.active_from)


def _read_partner(partner: Partner) -> _ReadPartner:
    previous = partner.previous_grant
    before = None if previous is None else _read_grant(previous, partner.id)
    now = _read_grant(partner.grant, partner.id)
    tests = max((each.pattern.tests for each in (now, before) if each and each.pattern), default=0)
    return _ReadPartner(partner, now, before, tests)


def _read_grant(grant: Grant, partner_id: str) -> _ReadGrant:
    if grant.pattern is None:
        return _ReadGrant(grant, None, None, partner_id)
    try:
        return _ReadGrant(grant, parse(grant.pattern), None, partner_id)
    except PatternRefused as refused:
        return _ReadGrant(grant, None, str(refused), partner_id)


def _unreadable(subscription: Subscription, why: str) -> UnreadableSubscription:
    return UnreadableSubscription(
        id=subscription.id,
        partner_id=subscription.partner_id,
        event_types=subscription.event_types,
        active_from=subscription.active_from,
        gaps=subscription.gaps,
        why=why,
    )
