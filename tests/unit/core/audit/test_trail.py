import pytest
from tests.doubles.audit import fields_read
from tests.doubles.deliveries import NOW, a_delivery

from hookstream.core.audit.binary import attempt_body
from hookstream.core.audit.entry import AuditEntry, read_entry
from hookstream.core.audit.trail import canonical_line
from hookstream.core.model.attempt import AttemptRecord
from hookstream.core.model.delivery import DeferReason, Trigger
from hookstream.core.model.instant import SECOND
from hookstream.core.model.outcome import (
    Cancel,
    Complete,
    DeadLetter,
    DeadReason,
    DeferUntil,
    Delivered,
    Disposition,
    Failed,
    FailedForGood,
    FailureKind,
    Gone,
    Outcome,
    RefusalReason,
    Refused,
    RetryAt,
    Throttled,
)


def a_record(outcome: Outcome | None, disposition: Disposition) -> AttemptRecord:
    return AttemptRecord(
        delivery=a_delivery(attempt=2, trigger=Trigger.RETRY),
        event_version=1,
        entity_id="quote-7",
        environment="live",
        attempt=2,
        outcome=outcome,
        disposition=disposition,
        started_at=NOW,
        duration_us=12_345,
        request_bytes=640,
        host="partner.example",
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        response_excerpt="try later",
    )


BROKEN = a_record(Failed(FailureKind.STATUS, "answered 500", 500), RetryAt(NOW + 5 * SECOND))


def audited(record: AttemptRecord) -> dict[str, object]:
    return fields_read(attempt_body(record, worker="worker-1"))


def test_an_attempt_is_audited_in_full() -> None:
    found = audited(BROKEN)

    assert found == {
        "delivery_id": "msg_1",
        "event_type": "pricing.completed",
        "event_version": 1,
        "event_id": "evt-1",
        "entity_id": "quote-7",
        "environment": "live",
        "subscription_id": "orders",
        "partner_id": "acme",
        "batch_id": None,
        "attempt": 2,
        "trigger": "retry",
        "outcome": "failed",
        "disposition": "retry",
        "reason": None,
        "status": 500,
        "error": "answered 500",
        "started_at": NOW,
        "duration_us": 12_345,
        "next_due_at": NOW + 5 * SECOND,
        "request_bytes": 640,
        "response_excerpt": "try later",
        "host": "partner.example",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "worker": "worker-1",
        "origin": {
            "topic": "printprice.pricing.completed",
            "partition": 0,
            "offset": 7,
            "timestamp": NOW,
        },
    }


def test_an_audit_record_is_read_back_by_those_who_ask() -> None:
    entry = read_entry(audited(BROKEN))

    assert isinstance(entry, AuditEntry)
    assert (entry.worker, entry.next_due_at) == ("worker-1", NOW + 5 * SECOND)
    assert entry.origin == BROKEN.delivery.origin


@pytest.mark.parametrize(
    ("outcome", "disposition", "expected"),
    [
        (Delivered(204), Complete(), ("delivered", "complete", None, 204, None, None)),
        (
            Gone(410),
            DeadLetter(DeadReason.GONE, "retired", disable=True),
            ("gone", "dead_letter", "gone", 410, "retired", None),
        ),
        (
            Throttled(429, 5),
            RetryAt(NOW),
            ("throttled", "retry", None, 429, None, NOW),
        ),
        (
            Failed(FailureKind.DNS, "no such name"),
            DeadLetter(DeadReason.ATTEMPTS_EXHAUSTED, "the last"),
            ("failed", "dead_letter", "attempts_exhausted", None, "no such name", None),
        ),
        (
            FailedForGood(422),
            DeadLetter(DeadReason.FINAL_STATUS, "listed"),
            ("failed_for_good", "dead_letter", "final_status", 422, "listed", None),
        ),
        (
            Refused(RefusalReason.BLOCKED_ADDRESS, "127.0.0.1"),
            DeadLetter(DeadReason.BLOCKED_ADDRESS, "127.0.0.1"),
            ("refused", "dead_letter", "blocked_address", None, "127.0.0.1", None),
        ),
        (None, Cancel("deleted"), (None, "cancel", None, None, "deleted", None)),
        (
            None,
            DeadLetter(DeadReason.EXPIRED, "too old"),
            (None, "dead_letter", "expired", None, "too old", None),
        ),
        (
            None,
            DeferUntil(NOW, DeferReason.PAUSED),
            (None, "defer", "paused", None, None, NOW),
        ),
    ],
)
def test_every_outcome_and_disposition_has_a_text(
    outcome: Outcome | None, disposition: Disposition, expected: tuple[object, ...]
) -> None:
    fields = audited(a_record(outcome, disposition))

    names = ("outcome", "disposition", "reason", "status", "error", "next_due_at")
    assert tuple(fields[name] for name in names) == expected


def test_what_an_endpoint_answers_is_bounded() -> None:
    record = a_record(Failed(FailureKind.PROTOCOL, "e" * 9999), RetryAt(NOW))
    record.response_excerpt = "r" * 9999

    fields = audited(record)

    assert (fields["error"], fields["response_excerpt"]) == ("e" * 512, "r" * 1024)


def test_the_log_line_of_an_attempt_leaves_out_what_is_not_known() -> None:
    found = [canonical_line(BROKEN), canonical_line(a_record(None, Cancel("deleted")))]

    shared = {
        "delivery_id": "msg_1",
        "subscription_id": "orders",
        "partner_id": "acme",
        "event_type": "pricing.completed",
        "event_id": "evt-1",
        "attempt": 2,
        "trigger": "retry",
        "duration_ms": 12.345,
        "host": "partner.example",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    }
    assert found == [
        shared
        | {
            "outcome": "failed",
            "disposition": "retry",
            "status": 500,
            "error": "answered 500",
            "next_due_at": "2023-11-14T22:13:25.000Z",
        },
        shared | {"disposition": "cancel", "error": "deleted"},
    ]
