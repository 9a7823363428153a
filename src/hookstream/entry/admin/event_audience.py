"""Counts the subscriptions that ask for events of a type and an environment, before any filter is evaluated."""

from collections.abc import Iterable
from dataclasses import dataclass

from hookstream.core.matching.granted import GrantTimeline, asks_for
from hookstream.core.model.counted import counted
from hookstream.core.model.subscription import (
    Partner,
    Subscription,
    SubscriptionState,
    UnreadableSubscription,
)
from hookstream.entry.admin.tables import State


@dataclass(slots=True, frozen=True)
class Audience:
    """The subscriptions that ask for events of one type in one environment."""

    event_type: str
    environment: str
    of_type: int
    """How many ask for the type, in any environment."""
    here: int
    """How many of them are granted it, and ask for it, in this environment."""

    def __str__(self) -> str:
        """Return a sentence for a person."""
        where = f"{self.event_type} in {self.environment}"
        if self.here:
            return f"{where}: {counted(self.here, 'subscription')}, before their filters"
        if not self.of_type:
            return f"{where}: no subscription asks for the type, so no partner gets it"
        return f"{where}: no subscription gets it; {self.of_type:,} of the type, none in this environment"


def audiences(state: State, kinds: Iterable[tuple[str, str]]) -> list[Audience]:
    """Return the audience of each event type and environment, in the order of their names.

    Deleted subscriptions are not counted; paused and disabled ones are.
    """
    live = [
        each
        for each in state.current.subscriptions.values()
        if isinstance(each, UnreadableSubscription) or each.state != SubscriptionState.DELETED
    ]
    found = []
    for event_type, environment in sorted(kinds):
        asking = [each for each in live if asks_for(each.event_types, event_type)]
        here = [
            each
            for each in asking
            if _gets(each, state.current.partners.get(each.partner_id), event_type, environment)
        ]
        found.append(Audience(event_type, environment, len(asking), len(here)))
    return found


def _gets(
    subscription: Subscription | UnreadableSubscription,
    partner: Partner | None,
    event_type: str,
    environment: str,
) -> bool:
    if partner is None:
        return False
    own = None
    if isinstance(subscription, Subscription) and subscription.environments is not None:
        own = frozenset(subscription.environments)
    timeline = GrantTimeline(partner)
    return bool(timeline.opens(event_type, environment, 0, own, as_granted_today=True))
