"""What the audit log tells of one attempt, or of a delivery's end without one."""

from dataclasses import dataclass

from hookstream.core.model.delivery import Delivery
from hookstream.core.model.instant import Millis
from hookstream.core.model.outcome import Disposition, Outcome


@dataclass(slots=True)
class AttemptRecord:
    """One audit record. The delivery is as it stood when the attempt was made."""

    delivery: Delivery
    event_version: int
    """The version sent; 0 where none was chosen."""
    entity_id: str
    environment: str
    attempt: int
    """The number of this attempt from 1; where none was made, of the attempts so far."""
    outcome: Outcome | None
    """None: ended without an attempt."""
    disposition: Disposition
    started_at: Millis
    duration_us: int
    request_bytes: int
    host: str
    trace_id: str | None = None
    response_excerpt: str | None = None
