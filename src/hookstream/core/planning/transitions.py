"""The effects of pausing, resuming, enabling and deleting a subscription from a given instant on.

Each takes `at`, the broker's time from which the change is effective: slightly in the future, so
that every worker has read it before the first record that it concerns is appended. Live delivery
and a later replay of the gap then split the log exactly.
"""

from dataclasses import replace

from hookstream.core.model.instant import MINUTE, Millis
from hookstream.core.model.subscription import Disabled, Gap, Subscription, SubscriptionState
from hookstream.errors import InputRefused

SLACK: Millis = MINUTE
"""How long before the disabling a gap starts. Workers disable by their own clocks, and two that do
so at nearly the same time may have skipped what was appended in between."""

MAX_GAPS = 500
"""The most gaps that are kept, the latest ones: it bounds the row, however often it is paused."""


def pause(subscription: Subscription, at: Millis) -> Subscription:
    """Return the subscription paused from `at` on; the same object if it is already paused.

    Raises:
        InputRefused: It is deleted, or nothing is ever sent to it.
    """
    if _live(subscription).state is SubscriptionState.PAUSED:
        return subscription
    if subscription.endpoint.is_pull:
        raise InputRefused(
            f"subscription {subscription.id!r} has the endpoint `pull`, to which nothing is sent: its reader"
            " pauses by not reading"
        )
    return replace(
        subscription,
        state=SubscriptionState.PAUSED,
        gaps=_with_gap(subscription, Gap(at, None, "paused")),
        revision=subscription.revision + 1,
    )


def resume(subscription: Subscription, at: Millis) -> Subscription:
    """Return the subscription active from `at` on; the same object if it is not paused.

    Raises:
        InputRefused: It is deleted.
    """
    if _live(subscription).state is not SubscriptionState.PAUSED:
        return subscription
    return replace(
        subscription,
        state=SubscriptionState.ACTIVE,
        gaps=tuple(_closed(gap, at) for gap in subscription.gaps),
        revision=subscription.revision + 1,
    )


def enable(subscription: Subscription, disabled: Disabled, at: Millis) -> Subscription:
    """Return the subscription with the gap of its disabled endpoint, up to `at`.

    The gap starts a minute before `disabled.since`, so that a replay of it repeats rather than misses.

    The health row must be deleted in the same transaction: until then it is an open gap itself.
    A paused subscription stays paused.

    Raises:
        InputRefused: It is deleted.
    """
    start = disabled.since - SLACK
    return replace(
        _live(subscription),
        gaps=_with_gap(subscription, Gap(start, max(at, start), "disabled")),
        revision=subscription.revision + 1,
    )


def delete(subscription: Subscription) -> Subscription:
    """Return what is kept of a deleted subscription: its id and its owner, but no signing secret.

    Raises:
        InputRefused: It is already deleted.
    """
    return replace(
        _live(subscription),
        endpoint=replace(subscription.endpoint, secrets=()),
        state=SubscriptionState.DELETED,
        revision=subscription.revision + 1,
    )


def _live(subscription: Subscription) -> Subscription:
    if subscription.state == SubscriptionState.DELETED:
        raise InputRefused(f"subscription {subscription.id!r} is deleted")
    return subscription


def _closed(gap: Gap, at: Millis) -> Gap:
    if gap.end is not None or gap.reason != "paused":
        return gap
    return replace(gap, end=max(at, gap.start))


def _with_gap(subscription: Subscription, gap: Gap) -> tuple[Gap, ...]:
    return (*subscription.gaps, gap)[-MAX_GAPS:]
