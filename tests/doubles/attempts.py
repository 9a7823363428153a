"""An attempt to start a test from."""

from tests.doubles.deliveries import NOW, a_delivery

from hookstream.core.model.attempt import AttemptRecord
from hookstream.core.model.delivery import Trigger
from hookstream.core.model.outcome import Complete, Delivered, Disposition, Outcome

DELIVERED = Delivered(204)
COMPLETE = Complete()


def an_attempt(
    outcome: Outcome | None = DELIVERED,
    disposition: Disposition = COMPLETE,
    *,
    event_type: str = "pricing.completed",
    trigger: Trigger = Trigger.INITIAL,
    duration_us: int = 20_000,
) -> AttemptRecord:
    return AttemptRecord(
        delivery=a_delivery(event_type=event_type, trigger=trigger),
        event_version=1,
        entity_id="order-7",
        environment="production",
        attempt=1,
        outcome=outcome,
        disposition=disposition,
        started_at=NOW,
        duration_us=duration_us,
        request_bytes=700,
        host="partner.example",
        trace_id="ab" * 16,
    )
