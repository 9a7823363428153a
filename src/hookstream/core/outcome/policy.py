"""An outcome, the delivery's state and the retry policy decide what happens next.

The functions that decide change nothing; `attempted`, `retried`, `deferred` and `wait_ended` write
a decision into the delivery's state, whose owner calls them.
"""

from collections.abc import Sequence

from hookstream.core.model.delivery import (
    OUR_OWN_REASONS,
    DeferReason,
    Delivery,
    Trigger,
    UnmatchedEvent,
)
from hookstream.core.model.instant import MINUTE, SECOND, Millis, to_rfc3339
from hookstream.core.model.outcome import (
    Cancel,
    Complete,
    DeadLetter,
    DeadReason,
    DeferUntil,
    Delivered,
    Disposition,
    Failed,
    FailedForGood,
    Gone,
    Outcome,
    Refused,
    RetryAt,
    Throttled,
)
from hookstream.core.model.standing import (
    Absent,
    Deleted,
    DisabledStanding,
    Held,
    Live,
    Paused,
    Standing,
    Unreadable,
)
from hookstream.core.model.subscription import RetryPolicy

LONGEST_JITTER: Millis = 30 * SECOND
"""Jitter is 10 % of the delay up to here: more would only make long tiers read out of order."""

FIRST_HOP: Millis = 5 * SECOND
"""The first wait for a subscription that is not in the table: mostly it was created just now."""

LONGEST_HELD_WAIT: Millis = 5 * MINUTE
"""A held delivery is looked at again at least so often: a cleared hold must not be waited for."""

_STICKY_TRIGGERS = frozenset({Trigger.REPLAY, Trigger.TEST})


def decide(
    outcome: Outcome, delivery: Delivery, retry: RetryPolicy, *, now: Millis, jitter: float
) -> Disposition:
    """Return what happens after an attempt.

    Args:
        outcome: What the attempt came to.
        delivery: Its state; `attempt` counts the attempt that was just made, `step` is the index
            of the delay that comes next.
        retry: The subscription's policy, as it is now.
        now: When the outcome was known.
        jitter: A number from 0 up to 1, drawn once for this decision.
    """
    match outcome:
        case Delivered():
            return Complete()
        case Gone(status=status):
            detail = f"answered {status}: the endpoint is retired"
            return DeadLetter(DeadReason.GONE, detail, disable=True)
        case Throttled(status=status, retry_after=wait):
            return _next(f"answered {status}", delivery, retry, now, jitter, now + (wait or 0))
        case Failed(detail=detail):
            return _next(detail, delivery, retry, now, jitter, now)
        case FailedForGood(status=status):
            detail = f"answered {status}, which the subscription lists as final"
            return DeadLetter(DeadReason.FINAL_STATUS, detail)
        case Refused(reason=reason, detail=detail):
            return DeadLetter(DeadReason(reason.value), detail)


def _next(
    detail: str,
    delivery: Delivery,
    retry: RetryPolicy,
    now: Millis,
    jitter: float,
    not_before: Millis,
) -> Disposition:
    if delivery.step >= len(retry.schedule):
        return DeadLetter(
            DeadReason.ATTEMPTS_EXHAUSTED,
            f"attempt {delivery.attempt} was the last of the schedule: {detail}",
        )
    delay = retry.schedule[delivery.step]
    spread = int(min(delay // 10, LONGEST_JITTER) * jitter)
    # The instant that the partner asked for is a slot, and carries no jitter of its own.
    due_at = max(now + delay + spread, not_before)
    if due_at > delivery.expires_at:
        return DeadLetter(
            DeadReason.EXPIRED,
            f"the next attempt would come after {to_rfc3339(delivery.expires_at)}: {detail}",
        )
    return RetryAt(due_at)


def undecided(
    detail: str, delivery: Delivery, retry: RetryPolicy, *, now: Millis
) -> RetryAt | DeadLetter:
    """Return what happens after an attempt of which `decide` could say nothing: the schedule alone."""
    if delivery.step < len(retry.schedule):
        return RetryAt(now + retry.schedule[delivery.step])
    return DeadLetter(DeadReason.ATTEMPTS_EXHAUSTED, detail)


def before_attempt(
    standing: Standing,
    delivery: Delivery,
    *,
    now: Millis,
    absent_grace: Millis,
    paused_for: Millis,
    pause_hop: Millis,
    hold_hops: Sequence[Millis] = (),
) -> Disposition | None:
    """Return what happens instead of an attempt, or None where the attempt is to be made.

    Args:
        standing: What the tables say of the subscription.
        delivery: Its state, with the wait that it comes from still on it (`wait_ended` comes
            after this).
        now: The present.
        absent_grace: How long a subscription may be missing or unreadable, from the start of
            that wait: absent never means deleted.
        paused_for: How long a delivery waits for a paused subscription.
        pause_hop: The longest single wait: the largest tier of at most 30 minutes.
        hold_hops: The delays that a held delivery may wait in, ascending; those of at most 5
            minutes are used.
    """
    match standing:
        case Live():
            return _expired(delivery, now)
        case Held():
            return _expired(delivery, now) or _held_until(delivery, hold_hops, now)
        case Paused():
            return _paused(delivery, now, paused_for, pause_hop)
        case DisabledStanding(disabled=disabled):
            detail = f"disabled since {to_rfc3339(disabled.since)}: {disabled.reason}"
            return DeadLetter(DeadReason.DISABLED, detail)
        case Deleted(subscription_id=subscription_id):
            return Cancel(f"subscription {subscription_id} was deleted")
        case Unreadable(unreadable=unreadable):
            reason = DeferReason.SUBSCRIPTION_UNREADABLE
            why = f"cannot be read: {unreadable.why}"
            return _missing(reason, why, delivery, now, absent_grace, pause_hop)
        case Absent():
            reason = DeferReason.SUBSCRIPTION_ABSENT
            why = "is in no table"
            return _missing(reason, why, delivery, now, absent_grace, pause_hop)


def _expired(delivery: Delivery, now: Millis) -> DeadLetter | None:
    expires_at = delivery.expires_at + _not_aged(delivery, now)
    if now < expires_at:
        return None
    return DeadLetter(DeadReason.EXPIRED, f"not delivered by {to_rfc3339(expires_at)}")


def _missing(
    reason: DeferReason,
    why: str,
    delivery: Delivery,
    now: Millis,
    grace: Millis,
    longest_hop: Millis,
) -> Disposition:
    since = _since(delivery, reason, now)
    waited = now - since
    if waited >= grace:
        return DeadLetter(
            DeadReason.SUBSCRIPTION_ABSENT,
            f"since {to_rfc3339(since)}, subscription {delivery.subscription_id} {why}",
        )
    # Each hop doubles the wait so far: a newcomer is met within seconds, a long absence costs
    # few writes.
    hop = min(max(waited, FIRST_HOP), longest_hop)
    return DeferUntil(min(now + hop, since + grace), reason)


def _paused(delivery: Delivery, now: Millis, paused_for: Millis, hop: Millis) -> Disposition:
    since = _since(delivery, DeferReason.PAUSED, now)
    if now - since >= paused_for:
        detail = f"the subscription has been paused since {to_rfc3339(since)}"
        return DeadLetter(DeadReason.PAUSED_TOO_LONG, detail)
    return DeferUntil(min(now + hop, since + paused_for), DeferReason.PAUSED)


def _held_until(delivery: Delivery, tiers: Sequence[Millis], now: Millis) -> DeferUntil:
    """Return until when a held delivery waits before the hold is looked at again.

    The smallest tier first, one tier up after each of them that the unbroken wait has lasted: a
    hold of seconds costs seconds, one of days a write each five minutes.
    """
    rungs = [delay for delay in tiers if 0 < delay <= LONGEST_HELD_WAIT] or [FIRST_HOP]
    passed = now - _since(delivery, DeferReason.HELD, now)
    wait = rungs[-1]
    for rung in rungs:
        if passed < rung:
            wait = rung
            break
        passed -= rung
    return DeferUntil(now + wait, DeferReason.HELD)


def slot_until(delivery: Delivery, slot: Millis, reason: DeferReason, now: Millis) -> DeferUntil:
    """Return until when a delivery waits that its lane gave a slot.

    It is back by the time it expires, so that it ends then and not later.
    """
    return DeferUntil(max(now, min(slot, delivery.expires_at)), reason)


def schema_unknown_until(
    state: UnmatchedEvent, tiers: Sequence[Millis], now: Millis, *, grace: Millis
) -> DeferUntil | None:
    """Return until when a record waits whose schema nobody published yet; None: not any longer.

    The smallest tier first, one tier up each time.
    """
    if now - state.first_at >= grace:
        return None
    wait = tiers[min(state.deferrals, len(tiers) - 1)]
    return DeferUntil(now + wait, DeferReason.SCHEMA_UNKNOWN)


def event_deferred(state: UnmatchedEvent, disposition: DeferUntil, now: Millis) -> None:
    """Write a deferral into the state of an event without a subscription, which does not age."""
    state.due_at = disposition.due_at
    state.deferrals += 1
    if state.deferred_reason is not disposition.reason:
        state.deferred_reason = disposition.reason
        state.deferred_since = now


def attempted(delivery: Delivery, outcome: Outcome) -> None:
    """Write the outcome of an attempt into the state; `attempt` was counted when it began."""
    delivery.last_outcome = outcome.name
    delivery.last_status = None
    delivery.last_error = None
    match outcome:
        case Delivered(status=status):
            delivery.last_status = status
        case Gone(status=status) | Throttled(status=status) | FailedForGood(status=status):
            delivery.last_status = status
            delivery.last_error = f"answered {status}"
        case Failed(status=status, detail=detail):
            delivery.last_status = status
            delivery.last_error = detail
        case Refused(detail=detail):
            delivery.last_error = detail


def retried(delivery: Delivery, disposition: RetryAt) -> None:
    """Write a retry into the state: when it is due, the next step, and why it will be made.

    A replay stays a replay and a test a test: a partner that knows the id from before would
    otherwise drop the retry as a duplicate.
    """
    delivery.due_at = disposition.due_at
    delivery.step += 1
    if delivery.trigger not in _STICKY_TRIGGERS:
        delivery.trigger = Trigger.RETRY
    delivery.deferrals = 0
    delivery.deferred_reason = None
    delivery.deferred_since = None


def deferred(delivery: Delivery, disposition: DeferUntil, now: Millis) -> None:
    """Write a deferral into the state; a wait for another reason ends with it."""
    delivery.due_at = disposition.due_at
    if disposition.reason is DeferReason.NOT_DUE:
        # A hop down goes on with the wait that it is part of.
        return
    if delivery.deferred_reason is not disposition.reason:
        wait_ended(delivery, now)
        delivery.deferred_reason = disposition.reason
        delivery.deferred_since = now
    delivery.deferrals += 1


def wait_ended(delivery: Delivery, now: Millis) -> None:
    """End the present wait, if there is one: what was our own doing has not aged the delivery."""
    delivery.expires_at += _not_aged(delivery, now)
    delivery.deferred_reason = None
    delivery.deferred_since = None


def _not_aged(delivery: Delivery, now: Millis) -> Millis:
    if delivery.deferred_reason not in OUR_OWN_REASONS or delivery.deferred_since is None:
        return 0
    return max(now - delivery.deferred_since, 0)


def _since(delivery: Delivery, reason: DeferReason, now: Millis) -> Millis:
    if delivery.deferred_reason is not reason or delivery.deferred_since is None:
        return now
    return delivery.deferred_since
