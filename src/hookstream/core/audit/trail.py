"""An attempt's single log line says what happened, in the words of its audit record, without secrets.

Spans have the same names, after `hookstream.` (`adapters/telemetry/span_names.py`).
"""

from hookstream.core.model.attempt import AttemptRecord
from hookstream.core.model.instant import Millis, to_rfc3339
from hookstream.core.model.outcome import (
    Cancel,
    Complete,
    DeadLetter,
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

MAX_ERROR = 512
"""The longest error, in characters."""


def canonical_line(record: AttemptRecord) -> dict[str, object]:
    """Return the fields of an attempt's log line.

    Unknown fields are omitted.
    """
    delivery = record.delivery
    reason, ended, next_due_at = of_disposition(record.disposition)
    status, failed = of_outcome(record.outcome)
    fields: dict[str, object] = {
        "delivery_id": delivery.delivery_id,
        "subscription_id": delivery.subscription_id,
        "partner_id": delivery.partner_id,
        "event_type": delivery.event_type,
        "event_id": delivery.event_id,
        "attempt": record.attempt,
        "batch_id": record.batch_id,
        "trigger": delivery.trigger.value,
        "job_id": delivery.job,
        "outcome": None if record.outcome is None else record.outcome.name,
        "disposition": record.disposition.name,
        "reason": reason,
        "status": status,
        "error": error_text(record, failed or ended),
        "duration_ms": record.duration_us / 1000,
        "next_due_at": None if next_due_at is None else to_rfc3339(next_due_at),
        "host": record.host or None,
        "trace_id": record.trace_id,
        "span_id": record.span_id,
    }
    return {name: value for name, value in fields.items() if value is not None}


def error_text(record: AttemptRecord, why: str | None) -> str | None:
    """Return the text of a record's error: why it failed or ended, and what else is to be said."""
    if record.note is not None:
        why = f"{why}; {record.note}" if why else record.note
    return why[:MAX_ERROR] if why else None


def of_disposition(disposition: Disposition) -> tuple[str | None, str | None, Millis | None]:
    """Return a disposition's reason, its detail and the next due time."""
    match disposition:
        case Complete(asked=asked):
            return None, asked, None
        case RetryAt(due_at=due_at):
            return None, None, due_at
        case DeferUntil(reason=reason, due_at=due_at):
            return reason.value, None, due_at
        case DeadLetter(reason=dead, detail=detail):
            return dead.value, detail, None
        case Cancel(detail=detail, reason=cancelled):
            return cancelled, detail, None


def of_outcome(outcome: Outcome | None) -> tuple[int | None, str | None]:
    """Return an outcome's status, and its error if that says more than the status."""
    match outcome:
        case None:
            return None, None
        case Delivered(status=status) | Gone(status=status):
            return status, None
        case Throttled(status=status) | FailedForGood(status=status):
            return status, None
        case Failed(status=status, detail=detail):
            return status, detail
        case Refused(detail=detail):
            return None, detail
