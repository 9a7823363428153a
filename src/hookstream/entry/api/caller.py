"""Restricts the tables to a caller: another partner's objects are treated as absent."""

from typing import Any

from hookstream.core.matching.granted import GrantTimeline
from hookstream.core.model.subscription import (
    Partner,
    Subscription,
    SubscriptionState,
    UnreadableSubscription,
)
from hookstream.entry.admin.tables import State, found_partner, found_subscription
from hookstream.entry.api.problems import ProblemKind, RequestRefused, not_found
from hookstream.entry.api.routes import Call
from hookstream.errors import InputRefused


def subscription_of(call: Call[Any, Any], state: State | None = None) -> Subscription:
    """Return the subscription that the path names, if it is the caller's and not deleted.

    Args:
        call: The request.
        state: The tables; None: as they are now.

    Raises:
        RequestRefused: There is none, or it is another partner's.
        ConfigurationError: Its row cannot be read.
    """
    return mine(call, call.params["subscription_id"], state)


def mine(call: Call[Any, Any], subscription_id: str, state: State | None = None) -> Subscription:
    """Return a subscription, if it is the caller's and not deleted.

    Raises:
        RequestRefused: There is none, or it is another partner's.
        ConfigurationError: Its row cannot be read.
    """
    state = call.services.state() if state is None else state
    found = state.current.subscriptions.get(subscription_id)
    if not is_mine(call, found):
        # Checked before anything that depends on the subscription.
        found = None
    if found is None or _is_deleted(found):
        raise _absent(call, "subscription", subscription_id)
    return found_subscription(state, subscription_id)


def is_mine(call: Call[Any, Any], found: Subscription | UnreadableSubscription | None) -> bool:
    """Return whether a subscription exists for the caller."""
    return found is not None and call.caller.partner_id in (None, found.partner_id)


def partner_of(call: Call[Any, Any], state: State | None = None) -> Partner:
    """Return the partner that the path names, if it is the caller itself or the caller is an operator.

    Raises:
        RequestRefused: There is none, or it is another.
    """
    state = call.services.state() if state is None else state
    partner_id = call.params["partner_id"]
    if call.caller.partner_id not in (None, partner_id):
        raise not_found()
    try:
        return found_partner(state, partner_id)
    except InputRefused as refused:
        raise RequestRefused(ProblemKind.NOT_FOUND, str(refused)) from None


def granted_types(call: Call[Any, Any]) -> list[str]:
    """Return the event types that the caller may ask for today, in the order of their names."""
    state = call.services.state()
    types = sorted(state.book.event_types())
    if call.caller.partner_id is None:
        return types
    partner = state.current.partners.get(call.caller.partner_id)
    if partner is None:
        return []
    grant = GrantTimeline(partner).now
    return [each for each in types if grant.opens(each, None) is not None]


def _absent(call: Call[Any, Any], noun: str, name: str) -> RequestRefused:
    if call.caller.partner_id is not None:
        return not_found()
    return RequestRefused(ProblemKind.NOT_FOUND, f"there is no {noun} {name!r}")


def _is_deleted(found: Subscription | UnreadableSubscription) -> bool:
    return isinstance(found, Subscription) and found.state is SubscriptionState.DELETED
