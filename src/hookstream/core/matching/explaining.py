"""Explains why an event is, or is not, delivered to one subscription: each condition with its result.

It asks the same functions as matching does, by the tables as they are now.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from hookstream.core.matching.directory import Directory, Question
from hookstream.core.matching.granted import GrantTimeline, asks_for
from hookstream.core.matching.pattern import PatternRefused
from hookstream.core.matching.refusing import first_refusing
from hookstream.core.model.active_interval import active_at, around, gaps_of
from hookstream.core.model.instant import to_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.core.model.listing import the_first
from hookstream.core.model.outcome import Refused
from hookstream.core.model.subscription import (
    Disabled,
    Gap,
    Grant,
    Subscription,
    SubscriptionState,
    UnreadableSubscription,
)

_FEW = 6
"""The most names that a sentence lists."""


class Condition(StrEnum):
    """What must hold for an event to be delivered, in the order in which it is explained."""

    SUBSCRIPTION = "subscription"
    """It is not deleted, and can be read."""
    EVENT_TYPE = "event_type"
    """It asks for the type."""
    GRANT = "grant"
    """Its partner was granted the event at the record's time, and is today."""
    ENVIRONMENT = "environment"
    """It asks for the environment."""
    ACTIVE = "active"
    """The record's time lies in its active interval."""
    FILTER = "filter"
    """Its own pattern matches."""


@dataclass(slots=True, frozen=True)
class Unmet:
    """One condition that does not hold, and why."""

    condition: Condition
    why: str


def unmet(
    directory: Directory,
    subscription: Subscription | UnreadableSubscription,
    disabled: Disabled | None,
    question: Question,
) -> list[Unmet]:
    """Return the conditions that an event does not meet; none: it is delivered.

    Of a subscription that is deleted, or does not ask for the type, nothing more is said.

    Args:
        directory: The tables.
        subscription: The subscription.
        disabled: Its health row; None: its endpoint is not disabled.
        question: The event, as it is matched.
    """
    case = _Case(directory, subscription, disabled, question)
    found: list[Unmet] = []
    for condition, answer in (
        (Condition.SUBSCRIPTION, case.unread),
        (Condition.EVENT_TYPE, case.unasked),
        (Condition.GRANT, case.ungranted),
        (Condition.ENVIRONMENT, case.elsewhere),
        (Condition.ACTIVE, case.inactive),
        (Condition.FILTER, case.filtered),
    ):
        why = answer()
        if why is not None:
            found.append(Unmet(condition, why))
            if condition is Condition.EVENT_TYPE or case.is_deleted:
                break
    return found


def is_shown_to(
    directory: Directory,
    partner_id: str,
    subscriptions: Sequence[Subscription],
    question: Question,
) -> bool:
    """Return whether a partner may learn of an event: the grants of its time and of today cover it.

    A grant may ask for fields of the body, so it is asked with the body of each version that one of the
    partner's subscriptions gets; without any, with the newest one's.

    Args:
        directory: The tables.
        partner_id: The partner.
        subscriptions: Its subscriptions that ask for the event's type.
        question: The event, as it is matched.
    """
    pins = {question.version(each.pin(question.event_type)) for each in subscriptions}
    return all(
        directory.granted(
            directory.partners.get(partner_id),
            question.event_type,
            question.environment,
            question.timestamp,
            partial(question.body, version),
            past=True,
        )
        is True
        for version in pins or {question.latest}
    )


@dataclass(slots=True, frozen=True)
class _Case:
    """One event and one subscription; each method returns why a condition does not hold, or None."""

    directory: Directory
    subscription: Subscription | UnreadableSubscription
    disabled: Disabled | None
    question: Question

    @property
    def is_deleted(self) -> bool:
        read = self.subscription
        return isinstance(read, Subscription) and read.state is SubscriptionState.DELETED

    def body(self) -> JsonObject | Refused:
        """Return the body at the version that the subscription receives."""
        question, read = self.question, self.subscription
        if isinstance(read, UnreadableSubscription):
            return question.body(question.latest)
        return question.body(question.version(read.pin(question.event_type)))

    def unread(self) -> str | None:
        if isinstance(self.subscription, UnreadableSubscription):
            return f"its row cannot be read, so its deliveries wait: {self.subscription.why}"
        if not self.is_deleted and self.subscription.endpoint.is_pull:
            return "its endpoint is `pull`: nothing is sent, its partner reads events from the pull door"
        return "it is deleted" if self.is_deleted else None

    def unasked(self) -> str | None:
        event_type = self.question.event_type
        if asks_for(self.subscription.event_types, event_type):
            return None
        asked = the_first(self.subscription.event_types, _FEW)
        return f"it does not ask for {event_type}, only for {asked or 'nothing'}"

    def ungranted(self) -> str | None:
        question, partner_id = self.question, self.subscription.partner_id
        partner = self.directory.partners.get(partner_id)
        if partner is None:
            return f"there is no partner {partner_id}, so nothing is granted"
        asked = (partner, question.event_type, question.environment, question.timestamp, self.body)
        if self.directory.granted(*asked, as_granted_today=True) is not True:
            return f"today's grant {_uncovered(partner.grant, question, self.body)}"
        if self.directory.granted(*asked) is True:
            return None
        then = GrantTimeline(partner).at(question.timestamp)
        if then is None:
            since = to_rfc3339(partner.grants[0].since or 0)
            return f"nothing was granted before {since}, which is after the record"
        uncovered = _uncovered(then.grant, question, self.body)
        return f"the grant at the record's time {uncovered}; today's does"

    def elsewhere(self) -> str | None:
        read, environment = self.subscription, self.question.environment
        if isinstance(read, UnreadableSubscription) or read.environments is None:
            return None
        if environment in read.environments:
            return None
        asked = the_first(read.environments, _FEW)
        return f"the event's is {environment}; it asks for {asked or 'none'}"

    def inactive(self) -> str | None:
        read, disabled, question = self.subscription, self.disabled, self.question
        if active_at(read, disabled, question.timestamp, question.arrival):
            return None
        if question.timestamp <= read.active_from:
            begins = to_rfc3339(read.active_from)
            then = f"the record is from {to_rfc3339(question.timestamp)}"
            found = [gap for gap in around(read.gaps, question.timestamp) if gap.filled_by]
            started = "".join(
                f"; replay {gap.filled_by} has what precedes that" for gap in found[:1]
            )
            return f"it is active from {begins}, and {then}{started}"
        return "; ".join(map(_gap, around(gaps_of(read, disabled), question.timestamp)))

    def filtered(self) -> str | None:
        read = self.subscription
        if isinstance(read, UnreadableSubscription) or read.pattern is None:
            return None
        return _refused(read.pattern, self.body)


def _uncovered(grant: Grant, question: Question, body: Callable[[], JsonObject | Refused]) -> str:
    """Return the rest of a sentence about a grant that does not cover an event."""
    if not asks_for(grant.event_types, question.event_type):
        listed = the_first(grant.event_types, _FEW)
        return f"does not cover {question.event_type} (it has {listed or 'no types'})"
    if "*" not in grant.environments and question.environment not in grant.environments:
        listed = the_first(grant.environments, _FEW)
        return f"does not cover environment {question.environment} (it has {listed or 'none'})"
    why = None if grant.pattern is None else _refused(grant.pattern, body)
    if why is None:
        return "does not cover events about other partners"
    return f"does not cover it: {why}"


def _refused(pattern: JsonObject, body: Callable[[], JsonObject | Refused]) -> str | None:
    """Return why a pattern does not match, or cannot be evaluated; None: it matches."""
    made = body()
    if isinstance(made, Refused):
        return f"it cannot be evaluated: {made.reason}: {made.detail}"
    try:
        refusing = first_refusing(pattern, made)
    except PatternRefused as refused:
        return f"it cannot be evaluated: {refused}"
    return None if refusing is None else refusing.detail


def _gap(gap: Gap) -> str:
    since = to_rfc3339(gap.start)
    if gap.end is None:
        return f"it is {gap.reason} since {since}"
    text = f"it was {gap.reason} from {since} to {to_rfc3339(gap.end)}"
    if gap.filled_by is None:
        return f"{text}, and no replay filled that gap"
    lost = ", but may have lost records" if gap.incomplete else ""
    return f"{text}; replay {gap.filled_by} has that gap{lost}"
