"""The views of deliveries and attempts: for partners without positions in the log and without holds."""

from typing import Annotated

import msgspec

from hookstream.adapters.index.answers import IndexedAttempt, IndexedDelivery
from hookstream.core.audit.entry import AuditEntry
from hookstream.core.audit.run_states import PendingRecord, RunState
from hookstream.core.model.delivery import DeferReason
from hookstream.core.model.instant import to_rfc3339
from hookstream.core.model.outcome import RefusalReason
from hookstream.entry.api.fields import OPERATORS_SEE, ApiOutput
from hookstream.entry.api.filters import time_text
from hookstream.entry.api.resources.subscription_views import SUSPENDED

_HIDDEN = RefusalReason.NOT_GRANTED.value


class AttemptShown(ApiOutput, frozen=True):
    """One attempt, or a delivery's end without one."""

    delivery: str
    """Its `webhook-id`."""
    batch: str | None
    subscription: str
    partner: str
    event_type: str
    event_version: int
    event: str | None
    """The event's id; null: it is not granted to its partner."""
    entity: str | None
    environment: str
    attempt: int
    trigger: str
    outcome: str | None
    """Null: it ended without an attempt."""
    disposition: str
    reason: str | None
    status: int | None
    error: str | None
    started_at: str
    duration_ms: float
    next_due_at: str | None
    request_bytes: int
    response_excerpt: str | None
    host: str
    job: str | None
    """The replay, resend or test that it belongs to; null: the first run."""
    trace: Annotated[str | None, OPERATORS_SEE]
    worker: Annotated[str, OPERATORS_SEE]
    event_at: str
    """When its event was published."""
    origin: Annotated[str, OPERATORS_SEE]
    """The position of the event, `topic-partition@offset`."""
    recorded_at: str | None = None
    """When it was recorded, the time for `since` and `until` of lists; null: it is not in a list."""


class RunShown(ApiOutput, frozen=True):
    """One run of a delivery, and its state."""

    delivery: str
    job: str | None
    subscription: str
    partner: str
    event_type: str
    event: str | None
    entity: str | None
    state: str
    """`pending`, `completed`, `dead-lettered`, `cancelled`."""
    at: str
    """Since when it has been in this state."""
    attempts: int
    trigger: str
    reason: str
    """Why it waits or ended."""
    last: str
    """The outcome of its last attempt."""
    due_at: str | None
    event_at: str
    """When its event was published."""
    detail: Annotated[str, OPERATORS_SEE]
    origin: Annotated[str, OPERATORS_SEE]
    place: Annotated[str, OPERATORS_SEE]


class PendingShown(ApiOutput, frozen=True):
    """A run that waits for its next attempt."""

    delivery: str
    job: str | None
    subscription: str
    partner: str
    event_type: str
    reason: str
    due_at: str | None
    """Null: at once."""
    attempts: int
    event: str
    event_at: str
    """When its event was published."""
    trigger: str
    """Why its next attempt is made."""
    first_at: str
    """When its event was matched."""
    at: str
    """Since when it waits there."""
    expires_at: str
    last: str
    deferrals: Annotated[int, OPERATORS_SEE]
    deferred_since: Annotated[str | None, OPERATORS_SEE]
    """Since when it waits for this reason; null: it was not deferred."""
    origin: Annotated[str, OPERATORS_SEE]
    place: Annotated[str, OPERATORS_SEE]


def shown_attempt(entry: AuditEntry, *, to_operator: bool) -> AttemptShown:
    """Return the view of an attempt."""
    hidden = not to_operator and entry.reason == _HIDDEN
    return AttemptShown(
        delivery=entry.delivery_id,
        batch=entry.batch_id,
        subscription=entry.subscription_id,
        partner=entry.partner_id,
        event_type=entry.event_type,
        event_version=entry.event_version,
        event=None if hidden else entry.event_id,
        entity=None if hidden else entry.entity_id,
        environment=entry.environment,
        attempt=entry.attempt,
        trigger=entry.trigger,
        outcome=entry.outcome,
        disposition=entry.disposition,
        reason=shown_reason(entry.reason, to_operator=to_operator),
        status=entry.status,
        error=entry.error,
        started_at=to_rfc3339(entry.started_at),
        duration_ms=entry.duration_us / 1_000,
        next_due_at=time_text(entry.next_due_at),
        request_bytes=entry.request_bytes,
        response_excerpt=entry.response_excerpt,
        host=entry.host,
        job=entry.job_id,
        trace=entry.trace_id,
        worker=entry.worker,
        event_at=to_rfc3339(entry.origin.timestamp),
        origin=entry.origin.place,
    )


def shown_indexed(found: IndexedAttempt, *, to_operator: bool) -> AttemptShown:
    """Return the view of an attempt of the index."""
    shown = shown_attempt(found.entry, to_operator=to_operator)
    return msgspec.structs.replace(shown, recorded_at=to_rfc3339(found.at))


def shown_run(found: IndexedDelivery, *, to_operator: bool) -> RunShown:
    """Return the view of a run."""
    state: RunState = found.state
    hidden = not to_operator and state.reason == _HIDDEN
    return RunShown(
        delivery=state.run.delivery_id,
        job=state.run.job,
        subscription=state.subscription_id,
        partner=state.partner_id,
        event_type=state.event_type,
        event=None if hidden else state.event_id,
        entity=None if hidden else found.entity_id,
        state=state.state.value,
        at=to_rfc3339(state.at),
        attempts=state.attempt,
        trigger=state.trigger,
        reason=shown_reason(state.reason, to_operator=to_operator) or "",
        last=state.last,
        due_at=time_text(state.due_at),
        event_at=to_rfc3339(found.origin_at),
        detail=state.detail,
        origin=state.run.origin,
        place=state.place,
    )


def shown_pending(found: PendingRecord, *, to_operator: bool) -> PendingShown:
    """Return the view of a run that waits."""
    delivery = found.delivery
    return PendingShown(
        delivery=delivery.delivery_id,
        job=delivery.job,
        subscription=delivery.subscription_id,
        partner=delivery.partner_id,
        event_type=delivery.event_type,
        reason=shown_reason(found.reason, to_operator=to_operator) or "",
        due_at=time_text(delivery.due_at),
        attempts=delivery.attempt,
        event=delivery.event_id,
        event_at=to_rfc3339(delivery.origin.timestamp),
        trigger=delivery.trigger.value,
        first_at=to_rfc3339(delivery.first_at),
        at=to_rfc3339(found.at),
        deferrals=delivery.deferrals,
        deferred_since=time_text(delivery.deferred_since),
        origin=delivery.origin.place,
        expires_at=to_rfc3339(delivery.expires_at),
        last=found.last,
        place=found.place,
    )


def shown_reason(reason: str | None, *, to_operator: bool) -> str | None:
    """Return a reason; for partners a hold is `suspended`."""
    return SUSPENDED if reason == DeferReason.HELD and not to_operator else reason
