"""The headers of tier records, dead letters and undecodable records, read independently of the worker."""

from hookstream.core.model.instant import Millis, from_rfc3339
from hookstream.core.model.record import OutgoingRecord, Record, header_text

_SHOWN = (
    "hs-event-id",
    "hs-subscription-id",
    "hs-job",
    "hs-attempt",
    "hs-due-at",
    "hs-deferred-reason",
    "hs-reason",
)
"""Headers that the chronicle shows."""

OF_LANES = frozenset({"lane_full", "rate_limited", "throttled", "breaker_open"})
"""Reasons for which a delivery that is due waits for its lane."""


def origin_of(record: Record | OutgoingRecord) -> tuple[str, int, int]:
    headers = record.headers
    return (
        header_text(headers, "hs-origin-topic") or "",
        int(header_text(headers, "hs-origin-partition") or -1),
        int(header_text(headers, "hs-origin-offset") or -1),
    )


def is_delivery(record: Record | OutgoingRecord) -> bool:
    named = header_text(record.headers, "hs-subscription-id") is not None
    return named and not is_to_be_matched(record)


def is_to_be_matched(record: Record | OutgoingRecord) -> bool:
    """Return whether it is an event that a replay could not identify."""
    return header_text(record.headers, "hs-only-subscription") is not None


def attempts_of(record: Record | OutgoingRecord) -> int:
    if is_to_be_matched(record):
        return 0
    return int(header_text(record.headers, "hs-attempt") or -1)


def due_of(record: Record | OutgoingRecord) -> Millis:
    """When its next attempt is due. A slot does not count: a lane with capacity may run it earlier."""
    if header_text(record.headers, "hs-deferred-reason") in OF_LANES:
        return 0
    text = header_text(record.headers, "hs-due-at")
    return 0 if text is None else from_rfc3339(text)


def described(record: Record) -> str:
    if not record.headers:
        return (record.value or b"").decode(errors="replace")
    shown = {name: value for name, value in record.headers if name in _SHOWN}
    return " ".join(f"{name[3:]}={(value or b'').decode()}" for name, value in shown.items())
