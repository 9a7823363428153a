"""An audit record reads back as one typed entry, or says why it cannot."""

from hookstream.core.audit.entry import AuditEntry, EntryProblem, read_entry
from hookstream.core.model.record import Origin

NOW = 1_795_000_000_000

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
    "attempt": 2,
    "trigger": "retry",
    "outcome": "failed",
    "disposition": "retry",
    "reason": "status",
    "status": 503,
    "error": "503",
    "started_at": NOW,
    "duration_us": 1500,
    "next_due_at": NOW + 5000,
    "request_bytes": 900,
    "response_excerpt": None,
    "host": "crm.example",
    "trace_id": None,
    "worker": "w-1",
    "origin": {"topic": "printprice.pricing", "partition": 3, "offset": 40, "timestamp": NOW - 9},
}


def test_a_record_reads_back_as_an_entry() -> None:
    entry = read_entry(FIELDS)
    assert entry == AuditEntry(
        delivery_id="msg_a",
        subscription_id="crm",
        partner_id="acme",
        event_type="pricing.completed",
        event_version=1,
        event_id="e-1",
        entity_id="q-1",
        environment="production",
        attempt=2,
        trigger="retry",
        outcome="failed",
        disposition="retry",
        reason="status",
        status=503,
        error="503",
        started_at=NOW,
        duration_us=1500,
        next_due_at=NOW + 5000,
        request_bytes=900,
        response_excerpt=None,
        host="crm.example",
        trace_id=None,
        worker="w-1",
        origin=Origin("printprice.pricing", 3, 40, NOW - 9),
    )


def test_what_a_newer_release_added_is_ignored() -> None:
    assert read_entry(FIELDS | {"moon": "full"}) == read_entry(FIELDS)


def test_a_missing_or_wrong_field_is_named() -> None:
    broken = [
        {key: value for key, value in FIELDS.items() if key != "host"},
        FIELDS | {"attempt": "2"},
        FIELDS | {"status": True},
        FIELDS | {"origin": None},
        FIELDS | {"worker": 7},
    ]
    problems = [read_entry(fields) for fields in broken]
    assert problems == [
        EntryProblem("a field is missing or wrong: 'host'"),
        EntryProblem("a field is missing or wrong: attempt is not a whole number"),
        EntryProblem("a field is missing or wrong: status is not a whole number"),
        EntryProblem("a field is missing or wrong: origin is not a record"),
        EntryProblem("a field is missing or wrong: worker is not text"),
    ]


def test_json_tells_instants_as_text() -> None:
    entry = read_entry(FIELDS)
    assert isinstance(entry, AuditEntry)
    document = entry.as_json()
    expected = {key: value for key, value in FIELDS.items() if key != "batch_id"} | {
        "started_at": "2026-11-18T11:06:40.000Z",
        "next_due_at": "2026-11-18T11:06:45.000Z",
        "origin": {
            "topic": "printprice.pricing",
            "partition": 3,
            "offset": 40,
            "timestamp": "2026-11-18T11:06:39.991Z",
        },
    }
    assert document == expected
