"""The headers of tier records, dead letters and undecodable records, read independently of the worker."""

from collections.abc import Mapping
from types import MappingProxyType

from hookstream.core.model.instant import Millis, from_rfc3339
from hookstream.core.model.record import Header, OutgoingRecord, Record

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


class _Read:
    """The headers that were read last: a record is looked at ten times in a row."""

    headers: tuple[Header, ...] = ()
    by_name: Mapping[str, bytes | None] = MappingProxyType({})


def text_in(record: Record | OutgoingRecord, name: str) -> str | None:
    """Return the last value of a header as text; None if it is missing or not UTF-8."""
    # Compared and not known by identity: who wrote them may have changed them since.
    headers = tuple(record.headers)
    if headers != _Read.headers:
        _Read.headers, _Read.by_name = headers, dict(headers)
    value = _Read.by_name.get(name)
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def origin_of(record: Record | OutgoingRecord) -> tuple[str, int, int]:
    return (
        text_in(record, "hs-origin-topic") or "",
        int(text_in(record, "hs-origin-partition") or -1),
        int(text_in(record, "hs-origin-offset") or -1),
    )


def is_delivery(record: Record | OutgoingRecord) -> bool:
    named = text_in(record, "hs-subscription-id") is not None
    return named and not is_to_be_matched(record)


def is_to_be_matched(record: Record | OutgoingRecord) -> bool:
    """Return whether it is an event that a replay could not identify."""
    return text_in(record, "hs-only-subscription") is not None


def attempts_of(record: Record | OutgoingRecord) -> int:
    if is_to_be_matched(record):
        return 0
    return int(text_in(record, "hs-attempt") or -1)


def due_of(record: Record | OutgoingRecord) -> Millis:
    """When its next attempt is due. A slot does not count: a lane with capacity may run it earlier."""
    if text_in(record, "hs-deferred-reason") in OF_LANES:
        return 0
    text = text_in(record, "hs-due-at")
    return 0 if text is None else from_rfc3339(text)


def described(record: Record) -> str:
    if not record.headers:
        return (record.value or b"").decode(errors="replace")
    shown = {name: value for name, value in record.headers if name in _SHOWN}
    return " ".join(f"{name[3:]}={(value or b'').decode()}" for name, value in shown.items())
