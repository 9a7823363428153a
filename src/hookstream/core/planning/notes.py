"""What is allowed and yet may not be what was meant, said with the plan."""

from collections.abc import Sequence

from hookstream.core.model.instant import to_rfc3339
from hookstream.core.model.subscription import (
    Disabled,
    Grant,
    Subscription,
    SubscriptionState,
    covers,
)
from hookstream.core.planning.fields import named


def ungranted(subscription: Subscription, grant: Grant, asked: Sequence[str]) -> list[str]:
    """Return notes on what a subscription asks for and its partner is not granted.

    Args:
        subscription: The subscription.
        grant: Its partner's.
        asked: The event types that it asks for by name or prefix.
    """
    subject, partner_id = named(subscription), subscription.partner_id
    withheld = [each for each in asked if not covers(grant.event_types, each)]
    unseen = [
        environment
        for environment in subscription.environments or ()
        if not covers(grant.environments, environment)
    ]
    notes = []
    if withheld:
        notes.append(
            f"{subject}: asks for {', '.join(withheld)}, which partner {partner_id} "
            "is not granted: none will be sent"
        )
    if unseen:
        notes.append(
            f"{subject}: asks for environment {', '.join(unseen)}, which partner {partner_id} "
            "is not granted: none of its events will be sent"
        )
    return notes


def left_alone(subscription: Subscription, disabled: Disabled | None) -> list[str]:
    """Return notes on the state of a live subscription, which files never change."""
    subject = named(subscription)
    notes = []
    if subscription.state == SubscriptionState.PAUSED:
        notes.append(f"{subject}: is paused, and stays so")
    if disabled is not None:
        notes.append(
            f"{subject}: is disabled since {to_rfc3339(disabled.since)} ({disabled.reason}), and "
            "stays so until `hookstream subscriptions enable`"
        )
    return notes
