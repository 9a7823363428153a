"""An audit record the general way, by its fields' names: `core/audit/binary.py` is compared with it."""

import io

from fastavro import schemaless_reader

from hookstream.adapters.avro.published import earlier_own_schemas, own_schemas, published
from hookstream.core.audit.trail import of_disposition, of_outcome
from hookstream.core.model.attempt import AttemptRecord

[ATTEMPT] = [published(tree, 1) for tree in earlier_own_schemas()]
"""The schema of an audit record of a delivery's first life."""

[ATTEMPT_OF_RUN] = [
    schema
    for schema in (published(tree, 2) for tree in own_schemas())
    if schema.revision.event_type == "hookstream.attempt"
]
"""That of one of a job's run."""


def audit_fields(record: AttemptRecord, *, worker: str) -> dict[str, object]:
    """Return the record's fields by their names."""
    delivery = record.delivery
    origin = delivery.origin
    reason, ended, next_due_at = of_disposition(record.disposition)
    status, failed = of_outcome(record.outcome)
    fields: dict[str, object] = {
        "delivery_id": delivery.delivery_id,
        "event_type": delivery.event_type,
        "event_version": record.event_version,
        "event_id": delivery.event_id,
        "entity_id": record.entity_id,
        "environment": record.environment,
        "subscription_id": delivery.subscription_id,
        "partner_id": delivery.partner_id,
        "batch_id": None,
        "attempt": record.attempt,
        "trigger": delivery.trigger.value,
        "outcome": None if record.outcome is None else record.outcome.name,
        "disposition": record.disposition.name,
        "reason": reason,
        "status": status,
        "error": "; ".join(filter(None, (failed or ended, record.note)))[:512] or None,
        "started_at": record.started_at,
        "duration_us": record.duration_us,
        "next_due_at": next_due_at,
        "request_bytes": record.request_bytes,
        "response_excerpt": (record.response_excerpt or "")[:1024] or None,
        "host": record.host,
        "trace_id": record.trace_id,
        "worker": worker,
        "origin": {
            "topic": origin.topic,
            "partition": origin.partition,
            "offset": origin.offset,
            "timestamp": origin.timestamp,
        },
    }
    if delivery.job is not None:
        fields["job_id"] = delivery.job
    return fields


def fields_read(body: bytes) -> dict[str, object]:
    """Return the fields that the general reader finds in a record's body."""
    fields = schemaless_reader(io.BytesIO(body), ATTEMPT.parsed, None)
    assert isinstance(fields, dict)
    return fields
