"""The history of one delivery to start a test from: two attempts, its dead letter, its redrive."""

from dataclasses import replace

from hookstream.core.audit.entry import AuditEntry
from hookstream.core.audit.history import DeadLettered
from hookstream.core.model.record import Origin

FIELDS: dict[str, object] = {
    "delivery_id": "msg_a",
    "subscription_id": "crm",
    "partner_id": "acme",
    "event_type": "pricing.completed",
    "event_version": 1,
    "event_id": "e-1",
    "entity_id": "q-1",
    "environment": "production",
    "batch_id": None,
    "attempt": 1,
    "trigger": "initial",
    "outcome": "failed",
    "disposition": "retry",
    "reason": "status",
    "status": 503,
    "error": "answered 503",
    "started_at": 1_000,
    "duration_us": 10,
    "next_due_at": 6_000,
    "request_bytes": 9,
    "response_excerpt": None,
    "host": "crm.example",
    "trace_id": None,
    "worker": "w",
    "origin": {"topic": "t", "partition": 3, "offset": 40, "timestamp": 991},
}
"""The first attempt's audit record, decoded."""

FIRST = AuditEntry(
    delivery_id="msg_a",
    subscription_id="crm",
    partner_id="acme",
    event_type="pricing.completed",
    event_version=1,
    event_id="e-1",
    entity_id="q-1",
    environment="production",
    batch_id=None,
    attempt=1,
    trigger="initial",
    outcome="failed",
    disposition="retry",
    reason="status",
    status=503,
    error="answered 503",
    started_at=1_000,
    duration_us=10,
    next_due_at=6_000,
    request_bytes=9,
    response_excerpt=None,
    host="crm.example",
    trace_id=None,
    worker="w",
    origin=Origin("t", 3, 40, 991),
)
LAST = replace(FIRST, attempt=2, started_at=6_000, disposition="dead_letter")
DEATH = DeadLettered(6_010, "3@7", "attempts_exhausted", "2 attempts", 2)
REDRIVEN = replace(DEATH, redriven_by="job", redriven_at=9_000)
