"""The summary of a dead letter follows from its headers, however broken they are."""

from hookstream.core.model.delivery import Delivery
from hookstream.core.model.delivery_headers import dead_letter_headers
from hookstream.core.model.outcome import DeadReason
from hookstream.core.model.record import Origin, Record
from hookstream.core.redrive.ledger import ResolvedBy
from hookstream.core.redrive.summary import summary_of

NOW = 1_795_000_000_000
DELIVERY = Delivery(
    "msg_a",
    "crm",
    "acme",
    "pricing.completed",
    "e-1",
    Origin("printprice.pricing", 3, 40, NOW - 9_000),
    first_at=NOW - 8_000,
    expires_at=NOW,
    attempt=9,
    last_outcome="failed",
    last_status=503,
)


def test_a_dead_letter_states_what_failed_and_why() -> None:
    headers = dead_letter_headers(
        DELIVERY, [], DeadReason.ATTEMPTS_EXHAUSTED, "9 attempts", written_at=NOW
    )
    facts = summary_of(Record("dead", 1, 7, NOW, b"crm", b"v", headers))
    assert facts.last == "503"
    assert facts.as_json(None) == {
        "place": "1@7",
        "at": "2026-11-18T11:06:40.000Z",
        "delivery_id": "msg_a",
        "subscription_id": "crm",
        "partner_id": "acme",
        "event_type": "pricing.completed",
        "event_id": "e-1",
        "attempt": "9",
        "reason": "attempts_exhausted",
        "detail": "9 attempts",
        "last_outcome": "failed",
        "last_status": "503",
        "last_error": None,
        "job": None,
        "origin": "printprice.pricing-3@40",
        "origin_at": "2026-11-18T11:06:31.000Z",
        "by_reference": False,
        "open": True,
        "resolved_by": None,
        "purged": None,
    }


def test_a_dead_letter_without_headers_has_a_position_and_a_time() -> None:
    """It may have been produced by hand; it is still listed."""
    facts = summary_of(Record("dead", 1, 7, NOW, None, None, [("hs-reason", b"\xff")]))
    shown = {
        key: value for key, value in facts.as_json(ResolvedBy("job")).items() if value is not None
    }
    assert shown == {
        "place": "1@7",
        "at": "2026-11-18T11:06:40.000Z",
        "reason": "\ufffd",
        "by_reference": True,
        "open": False,
        "resolved_by": "job",
    }
    assert facts.last == "-"
