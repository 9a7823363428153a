"""Decides what happens next from an outcome, the delivery's state and the retry policy.

The deciding functions change nothing; `attempted`, `retried`, `deferred` and `wait_ended` write a
decision into the delivery's state, and only its owner calls them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hookstream.core.model.active_interval import precedes, run_precedes
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
from hookstream.core.model.subscription import RetryPolicy, Subscription
from hookstream.core.model.subscription_status import (
    Absent,
    Deleted,
    DisabledStatus,
    Held,
    Live,
    Paused,
    SubscriptionStatus,
    Unreadable,
)
from hookstream.core.outcome.answer_headers import ReceiverRequest

LONGEST_JITTER: Millis = 30 * SECOND
"""Jitter is 10 % of the delay, up to this: more would only reorder long tiers."""

FIRST_HOP: Millis = 5 * SECOND
"""The first wait for a subscription that is not in the table: usually it has just been created."""

LONGEST_HELD_WAIT: Millis = 5 * MINUTE
"""The longest time before a held delivery checks the hold again, so that clearing acts soon."""

_COMPLETE = Complete()
"""Nearly every disposition."""

_STICKY_TRIGGERS = frozenset({Trigger.REPLAY, Trigger.TEST})


def decide(
    outcome: Outcome, delivery: Delivery, retry: RetryPolicy, *, now: Millis, jitter: float
) -> Disposition:
    """Return what happens after an attempt.

    Args:
        outcome: The attempt's outcome.
        delivery: Its state; `attempt` includes the attempt just made, `step` is the index of the
            next delay.
        retry: The subscription's present policy.
        now: When the outcome was known.
        jitter: A number in [0, 1), drawn once for this decision.
    """
    match outcome:
        case Delivered():
            return _COMPLETE
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
    # The instant that the partner asked for is a slot, without jitter of its own.
    due_at = max(now + delay + spread, not_before)
    if due_at > delivery.expires_at:
        return DeadLetter(
            DeadReason.EXPIRED,
            f"the next attempt would come after {to_rfc3339(delivery.expires_at)}: {detail}",
        )
    return RetryAt(due_at)


def heed(asked: ReceiverRequest, outcome: Outcome, disposition: Disposition) -> Disposition:
    """Return what happens after an attempt whose answer has a `webhook-delivery` header.

    `disposition` is the result of `decide`. The status line takes precedence: an accepted delivery is complete
    whatever the header requests, and a 410 has more effect than both of its values.
    """
    match outcome:
        case Delivered(status=status):
            disable = asked is ReceiverRequest.DISABLE
            return (
                Complete(asked=f"answered {status} {asked.described}") if disable else disposition
            )
        case Throttled(status=status) | FailedForGood(status=status) | Failed(status=int(status)):
            detail = f"answered {status} {asked.described}"
            if asked is ReceiverRequest.DISABLE:
                return DeadLetter(DeadReason.ASKED, detail, disable=True)
            return DeadLetter(DeadReason.ABORTED, detail)
        case Gone() | Failed() | Refused():
            return disposition


def test_attempted(outcome: Outcome) -> Complete | Cancel:
    """Return how a test ends after its only attempt. The audit log has the answer."""
    return Complete() if isinstance(outcome, Delivered) else Cancel("a test has one attempt")


def test_ended(disposition: Disposition) -> Disposition:
    """Return how a test ends without an attempt, if a delivery would have this disposition.

    A test neither waits nor is stored: the audit log shows why it was not attempted.
    """
    match disposition:
        case DeferUntil(reason=deferred):
            return Cancel("a test is attempted at once or not at all", deferred.value)
        case DeadLetter(reason=dead, detail=detail):
            return Cancel(detail, dead.value)
        case Complete() | RetryAt() | Cancel():
            return disposition


def undecided(
    detail: str, delivery: Delivery, retry: RetryPolicy, *, now: Millis
) -> RetryAt | DeadLetter:
    """Return what happens after an attempt that `decide` could not handle: use the schedule alone."""
    if delivery.step < len(retry.schedule):
        return RetryAt(now + retry.schedule[delivery.step])
    return DeadLetter(DeadReason.ATTEMPTS_EXHAUSTED, detail)


@dataclass(slots=True, frozen=True)
class WaitRules:
    """How long a delivery waits for a subscription that allows no attempt."""

    absent_grace: Millis
    """How long the subscription may be missing or unreadable, from the start of the wait: absent never
    means deleted."""
    paused_for: Millis
    """How long a delivery waits for a paused subscription."""
    pause_hop: Millis
    """The longest single wait: the largest tier of at most 30 minutes."""
    hold_hops: Sequence[Millis] = ()
    """The delays for held deliveries, ascending; those of at most 5 minutes are used."""


def before_attempt(
    status: SubscriptionStatus, delivery: Delivery, rules: WaitRules, *, now: Millis
) -> Disposition | None:
    """Return the disposition of a delivery that may not be attempted now; None if it may.

    Args:
        status: The subscription's status, from the tables.
        delivery: Its state, still with the wait that just ended (`wait_ended` is called
            afterwards).
        rules: How long it waits.
        now: The present.
    """
    match status:
        case Live() | Held() | Paused() | DisabledStatus():
            # Whatever the subscription of today allows, this was never owed to it.
            cancelled = _of_earlier_life(status.subscription, delivery)
            return cancelled or _unattempted(status, delivery, rules, now)
        case Deleted(subscription_id=subscription_id):
            return Cancel(f"subscription {subscription_id} was deleted")
        case Unreadable(unreadable=unreadable):
            why = f"cannot be read: {unreadable.why}"
            return _missing(DeferReason.SUBSCRIPTION_UNREADABLE, why, delivery, now, rules)
        case Absent():
            why = "is not in the table"
            return _missing(DeferReason.SUBSCRIPTION_ABSENT, why, delivery, now, rules)


def _unattempted(
    status: Live | Held | Paused | DisabledStatus,
    delivery: Delivery,
    rules: WaitRules,
    now: Millis,
) -> Disposition | None:
    """Return the disposition of a delivery of a subscription that exists; None: it may be attempted."""
    match status:
        case Live():
            return _expired(delivery, now)
        case Held():
            return _expired(delivery, now) or _held_until(delivery, rules.hold_hops, now)
        case Paused():
            return _paused(delivery, now, rules)
        case DisabledStatus(disabled=disabled):
            detail = f"disabled since {to_rfc3339(disabled.since)}: {disabled.reason}"
            return DeadLetter(DeadReason.DISABLED, detail)


def _of_earlier_life(subscription: Subscription, delivery: Delivery) -> Cancel | None:
    """Return the end of a delivery to a subscription that was deleted and re-created; None: it was not.

    Nothing is sent to a pull endpoint, and a subscription keeps its kind of endpoint for life. Otherwise the event's
    time shows it. A job's run may be of an event of any time: what counts is when it began. A test is over within a
    minute, whoever gets it.
    """
    if subscription.endpoint.is_pull:
        return Cancel(
            f"subscription {subscription.id} was deleted and re-created as a pull subscription"
        )
    if delivery.trigger is Trigger.TEST:
        return None
    if delivery.job is None and precedes(delivery.origin.timestamp, subscription):
        return Cancel(f"subscription {subscription.id} was deleted and re-created after the event")
    if delivery.job is not None and run_precedes(delivery.first_at, delivery.job, subscription):
        what = f"{delivery.job} had begun to deliver the event"
        return Cancel(f"subscription {subscription.id} was deleted and re-created after {what}")
    return None


def _expired(delivery: Delivery, now: Millis) -> DeadLetter | None:
    if now < delivery.expires_at:
        # Waits that do not age it only move its expiry to a later time.
        return None
    expires_at = delivery.expires_at + _not_aged(delivery, now)
    if now < expires_at:
        return None
    return DeadLetter(DeadReason.EXPIRED, f"not delivered by {to_rfc3339(expires_at)}")


def _missing(
    reason: DeferReason, why: str, delivery: Delivery, now: Millis, rules: WaitRules
) -> Disposition:
    since = _since(delivery, reason, now)
    waited = now - since
    if waited >= rules.absent_grace:
        return DeadLetter(
            DeadReason.SUBSCRIPTION_ABSENT,
            f"since {to_rfc3339(since)}, subscription {delivery.subscription_id} {why}",
        )
    # Each hop doubles the total wait: a new subscription is found within seconds, and a long
    # absence costs few writes.
    hop = min(max(waited, FIRST_HOP), rules.pause_hop)
    return DeferUntil(min(now + hop, since + rules.absent_grace), reason)


def _paused(delivery: Delivery, now: Millis, rules: WaitRules) -> Disposition:
    since = _since(delivery, DeferReason.PAUSED, now)
    if now - since >= rules.paused_for:
        detail = f"the subscription has been paused since {to_rfc3339(since)}"
        return DeadLetter(DeadReason.PAUSED_TOO_LONG, detail)
    return DeferUntil(min(now + rules.pause_hop, since + rules.paused_for), DeferReason.PAUSED)


def _held_until(delivery: Delivery, tiers: Sequence[Millis], now: Millis) -> DeferUntil:
    """Return how long a held delivery waits before the hold is checked again.

    The smallest tier first, then one tier up after each that the uninterrupted wait has lasted: a
    hold of seconds costs seconds, and a hold of days one write every five minutes.
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
    """Return the deferral to a slot that the lane reserved.

    The slot is at most its expiry, so that it expires in time.
    """
    return DeferUntil(max(now, min(slot, delivery.expires_at)), reason)


def schema_unknown_until(
    state: UnmatchedEvent, tiers: Sequence[Millis], now: Millis, *, grace: Millis
) -> DeferUntil | None:
    """Return the deferral of a record with an unpublished schema; None if its grace is over.

    The smallest tier first, then one tier up each time.
    """
    if now - state.first_at >= grace:
        return None
    wait = tiers[min(state.deferrals, len(tiers) - 1)]
    return DeferUntil(now + wait, DeferReason.SCHEMA_UNKNOWN)


def registry_asked_again(state: UnmatchedEvent, now: Millis) -> DeferUntil:
    """Return the deferral of a record whose registry gave no answer: soon, however often it was deferred.

    Neighbours are spread over a minute, so that they do not ask at the same time. However long it lasts,
    it makes no record undecodable: only an answer does.
    """
    spread = (state.origin.offset + state.deferrals) * SECOND % (MINUTE - FIRST_HOP)
    return DeferUntil(now + FIRST_HOP + spread, DeferReason.SCHEMA_UNKNOWN)


def event_deferred(state: UnmatchedEvent, disposition: DeferUntil, now: Millis) -> None:
    """Write a deferral into the state of an event without a subscription, which does not age."""
    state.due_at = disposition.due_at
    state.deferrals += 1
    if state.deferred_reason is not disposition.reason:
        state.deferred_reason = disposition.reason
        state.deferred_since = now


def attempted(delivery: Delivery, outcome: Outcome) -> None:
    """Write an attempt's outcome into the state; `attempt` was incremented when it began."""
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
    """Write a retry into the state: when it is due, the next step, and its trigger.

    The trigger of a replay or a test is kept: a partner that already knows the id would otherwise
    drop the retry as a duplicate.
    """
    delivery.due_at = disposition.due_at
    delivery.step += 1
    if delivery.trigger not in _STICKY_TRIGGERS:
        delivery.trigger = Trigger.RETRY
    delivery.deferrals = 0
    delivery.deferred_reason = None
    delivery.deferred_since = None


def deferred(delivery: Delivery, disposition: DeferUntil, now: Millis) -> None:
    """Write a deferral into the state. It ends a wait for another reason."""
    delivery.due_at = disposition.due_at
    if delivery.deferred_reason is not disposition.reason:
        wait_ended(delivery, now)
        delivery.deferred_reason = disposition.reason
        delivery.deferred_since = now
    delivery.deferrals += 1


def wait_ended(delivery: Delivery, now: Millis) -> None:
    """End the present wait, if there is one. Waits that hookstream caused do not age the delivery."""
    if delivery.deferred_reason is None and delivery.deferred_since is None:
        return
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
