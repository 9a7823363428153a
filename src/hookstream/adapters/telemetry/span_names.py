"""The attributes by which a span is found: its delivery, and the delivery's disposition.

They are the names of log lines and audit records (`core/audit/trail.py`) under `hookstream.`, with dots.
"""

from typing import TypeAlias

from hookstream.core.model.delivery import Delivery, Trigger, UnmatchedEvent
from hookstream.core.model.outcome import DeadLetter, DeferUntil, Disposition

Attributes: TypeAlias = dict[str, str | int | bool]


def of_event(event_type: str, event_id: str) -> Attributes:
    """Return the attributes of a record that was decoded."""
    return {"hookstream.event.type": event_type, "hookstream.event.id": event_id}


def of_delivery(delivery: Delivery, attempt: int) -> Attributes:
    """Return the attributes of a delivery.

    Args:
        delivery: The delivery.
        attempt: The number of the span's attempt; for any other span, the number of attempts so far.
    """
    return {
        "hookstream.delivery.id": delivery.delivery_id,
        "hookstream.event.type": delivery.event_type,
        "hookstream.event.id": delivery.event_id,
        "hookstream.attempt": attempt,
        **_of_run(delivery.subscription_id, delivery.partner_id, delivery.trigger, delivery.job),
    }


def of_state(state: Delivery | UnmatchedEvent) -> Attributes:
    """Return the attributes of a tier record's state: a delivery, or an event that is still to be matched."""
    if isinstance(state, Delivery):
        return of_delivery(state, state.attempt)
    if state.only is None:
        return {"hookstream.trigger": state.trigger.value}
    only = state.only
    return _of_run(only.subscription_id, only.partner_id, state.trigger, only.job)


def of_decision(disposition: Disposition) -> Attributes:
    """Return a disposition, with the reason of a deferral or of a dead letter."""
    attributes: Attributes = {"hookstream.disposition": disposition.name}
    match disposition:
        case DeferUntil(reason=reason):
            attributes["hookstream.defer.reason"] = reason.value
        case DeadLetter(reason=given_up):
            attributes["hookstream.dead_letter.reason"] = given_up.value
        case _:
            pass
    return attributes


def _of_run(
    subscription_id: str, partner_id: str, trigger: Trigger, job: str | None
) -> Attributes:
    attributes: Attributes = {
        "hookstream.subscription.id": subscription_id,
        "hookstream.partner.id": partner_id,
        "hookstream.trigger": trigger.value,
    }
    if job is not None:
        attributes["hookstream.job.id"] = job
    return attributes
