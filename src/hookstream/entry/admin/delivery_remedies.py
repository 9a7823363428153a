"""Lists what an operator can do about a delivery, by its state and its subscription's."""

from collections.abc import Iterator, Sequence

from hookstream.core.audit.history import DeliveryHistory, DeliveryState
from hookstream.core.audit.run_states import PendingRecord
from hookstream.core.model.delivery import Trigger
from hookstream.core.model.hold import Hold, HoldKind
from hookstream.core.model.instant import Millis, to_the_second
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


def remedies(
    history: DeliveryHistory,
    pending: Sequence[PendingRecord],
    subscription_id: str,
    status: SubscriptionStatus | None,
    now: Millis,
) -> Iterator[str]:
    """Yield the remedies for a delivery, one sentence each, with the command.

    Args:
        history: Its history.
        pending: Where its runs wait, the one that is due first at the front.
        subscription_id: Its subscription.
        status: The subscription's status under the holds, for the event's type; None: it is not known.
        now: The present.
    """
    if any(entry.trigger == Trigger.TEST for entry in history.entries) or any(
        each.delivery.trigger is Trigger.TEST for each in pending
    ):
        yield f"it is a test; for another one: hookstream subscriptions test {subscription_id}"
        return
    resend = f"hookstream deliveries resend {history.delivery_id}"
    if isinstance(status, Deleted):
        what = "its pending runs are cancelled when they are due" if pending else "nothing is sent"
        yield f"{subscription_id} is deleted: {what}"
        return
    if isinstance(status, DisabledStatus):
        yield (
            f"{subscription_id} is disabled ({status.disabled.reason}): enable it first, or what is"
            f" pending is dead-lettered when it is due: hookstream subscriptions enable {subscription_id}"
        )
    if pending:
        yield from _of_pending(pending[0], subscription_id, status, now)
    dead = [each for each in history.deaths if each.is_open]
    if not pending and history.state is DeliveryState.DEAD_LETTERED and dead:
        yield f"to redrive it, in the same run: hookstream dlq redrive {dead[-1].place}"
    if not pending and history.state is DeliveryState.PENDING:
        yield (
            "no tier has it: it was settled after the tiers were read, or a worker is attempting it;"
            " try again"
        )
    if not isinstance(status, DisabledStatus):
        yield f"to send it again, in a new run: {resend}"


def _of_pending(
    pending: PendingRecord, subscription_id: str, status: SubscriptionStatus | None, now: Millis
) -> Iterator[str]:
    due_at = pending.delivery.due_at
    when = "now" if due_at is None or due_at <= now else f"at {to_the_second(due_at)}"
    match status:
        case Held(hold=hold):
            yield (
                f"it waits while {_held(hold)} is held ({hold.reason}): hookstream hold clear"
                f" {_arguments(hold)}"
            )
        case Paused(since=since):
            yield (
                f"it waits because {subscription_id} is paused, since {to_the_second(since)}:"
                f" hookstream subscriptions resume {subscription_id}"
            )
        case Unreadable(unreadable):
            yield f"it waits until the row of {subscription_id} can be read: {unreadable.why}"
        case Absent():
            yield f"it waits until the table has a row for {subscription_id}"
        case Live() | None:
            yield f"nothing: it is attempted automatically, and is due {when}"
        case Deleted() | DisabledStatus():
            pass


def _held(hold: Hold) -> str:
    return "everything" if hold.kind is HoldKind.EVERYTHING else f"the {hold.kind} {hold.name}"


def _arguments(hold: Hold) -> str:
    return hold.kind if hold.kind is HoldKind.EVERYTHING else f"{hold.kind} {hold.name}"
