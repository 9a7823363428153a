"""The audit record of one attempt, or of a delivery that ended without one."""

from dataclasses import dataclass

from hookstream.core.model.delivery import Delivery
from hookstream.core.model.event import Event
from hookstream.core.model.instant import Millis
from hookstream.core.model.outcome import Disposition, Outcome


@dataclass(slots=True)
class AttemptRecord:
    """One audit record. The delivery is in its state at the time of the attempt."""

    delivery: Delivery
    event_version: int
    """The version sent; 0 if none was chosen."""
    entity_id: str
    environment: str
    attempt: int
    """The number of this attempt, from 1; without an attempt, the number of attempts so far."""
    outcome: Outcome | None
    """None: the delivery ended without an attempt."""
    disposition: Disposition
    started_at: Millis
    duration_us: int = 0
    request_bytes: int = 0
    """The size of the body; in a batch, of this delivery's part."""
    host: str = ""
    trace_id: str | None = None
    span_id: str | None = None
    """The sampled span of the attempt; without an attempt, of the record that was processed."""
    response_excerpt: str | None = None
    batch_id: str | None = None
    """The id of the batch that it was attempted in; None: it was attempted on its own."""
    note: str | None = None
    """A remark about the attempt, whatever its outcome."""


def ended(
    delivery: Delivery,
    event: Event | None,
    disposition: Disposition,
    now: Millis,
    *,
    outcome: Outcome | None = None,
    trace_id: str | None = None,
    span_id: str | None = None,
) -> AttemptRecord:
    """Return the audit record of a delivery that ended without an attempt.

    Args:
        delivery: The delivery in its present state.
        event: None if its record was moved without being decoded; the entity is then unknown.
        disposition: How it ended.
        now: When it ended.
        outcome: The refusal, if the delivery was refused before a request was made.
        trace_id: The id of the sampled trace.
        span_id: The id of the span of the record that was processed.
    """
    return AttemptRecord(
        delivery=delivery,
        event_version=0,
        entity_id="" if event is None else event.entity_id,
        environment="" if event is None else event.environment,
        attempt=delivery.attempt,
        outcome=outcome,
        disposition=disposition,
        started_at=now,
        trace_id=trace_id,
        span_id=span_id,
    )
