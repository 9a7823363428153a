"""What is allowed and yet may not be what was meant, said with the plan."""

from collections.abc import Mapping

from hookstream.core.model.instant import to_rfc3339
from hookstream.core.model.subscription import (
    Disabled,
    Grant,
    Subscription,
    SubscriptionState,
    covers,
)
from hookstream.core.planning.fields import named


def ungranted(
    subscription: Subscription, partner_id: str, grant: Grant, latest: Mapping[str, int]
) -> list[str]:
    """Return notes on what a subscription asks for and its partner is not granted.

    `*` asks for whatever is granted: nothing of it is withheld.
    """
    subject = named(subscription)
    globs = [glob for glob in subscription.event_types if glob != "*"]
    withheld = [
        event_type
        for event_type in sorted(latest)
        if covers(globs, event_type) and not covers(grant.event_types, event_type)
    ]
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
