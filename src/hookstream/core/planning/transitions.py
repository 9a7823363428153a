"""What pausing, resuming, enabling and deleting do to a subscription, from a stated instant on.

Each takes `at`, the instant by the broker's clock from which the change holds: a little ahead, so
that every worker knows of it before the first record that it concerns is appended. Live delivery
and a later replay of the gap then split the log exactly.
"""

from dataclasses import replace

from hookstream.core.model.instant import MINUTE, Millis
from hookstream.core.model.subscription import Disabled, Gap, Subscription, SubscriptionState
from hookstream.errors import InputRefused

SLACK: Millis = MINUTE
"""How far before its disabling a gap starts. Workers disable by their own clocks, and two that do so
at nearly one time may have left out what was appended between their verdicts."""

MAX_GAPS = 500
"""Gaps that are remembered, the latest ones: a row stays small however often it is paused."""


def pause(subscription: Subscription, at: Millis) -> Subscription:
    """Return it paused from `at` on; the same object where it is paused already.

    Raises:
        InputRefused: It is deleted.
    """
    match _live(subscription).state:
        case SubscriptionState.PAUSED:
            return subscription
        case SubscriptionState.ACTIVE | SubscriptionState.DELETED:
            return replace(
                subscription,
                state=SubscriptionState.PAUSED,
                gaps=_remembered((*subscription.gaps, Gap(at, None, "paused"))),
                revision=subscription.revision + 1,
            )


def resume(subscription: Subscription, at: Millis) -> Subscription:
    """Return it active from `at` on; the same object where it is not paused.

    Raises:
        InputRefused: It is deleted.
    """
    match _live(subscription).state:
        case SubscriptionState.PAUSED:
            return replace(
                subscription,
                state=SubscriptionState.ACTIVE,
                gaps=tuple(_closed(gap, at) for gap in subscription.gaps),
                revision=subscription.revision + 1,
            )
        case SubscriptionState.ACTIVE | SubscriptionState.DELETED:
            return subscription


def enable(subscription: Subscription, disabled: Disabled, at: Millis) -> Subscription:
    """Return it with the gap that a disabled endpoint left, up to `at`.

    It starts a minute before `disabled.since`, so that a replay of it repeats rather than misses.

    The health row must be cleared in the same transaction: until then it is an open gap itself.
    A paused one stays paused.

    Raises:
        InputRefused: It is deleted.
    """
    start = disabled.since - SLACK
    gap = Gap(start, max(at, start), "disabled")
    return replace(
        _live(subscription),
        gaps=_remembered((*subscription.gaps, gap)),
        revision=subscription.revision + 1,
    )


def delete(subscription: Subscription) -> Subscription:
    """Return what is kept of it: its id, whose it was, and no signing secret.

    Raises:
        InputRefused: It is deleted already.
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


def _remembered(gaps: tuple[Gap, ...]) -> tuple[Gap, ...]:
    return gaps[-MAX_GAPS:]
