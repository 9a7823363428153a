"""An attempt's audit record is encoded as Avro directly, field by field in schema order.

There is one audit record for each attempt, so its cost matters. A generic writer walks the schema
and tries the branches of each union, value by value; here the code fixes both. A property test
compares the bytes with the generic writer's.

Source: Apache Avro 1.12 specification, "Binary Encoding".
"""

from functools import lru_cache

from hookstream.core.audit.trail import MAX_ERROR, error_text, of_disposition, of_outcome
from hookstream.core.model.attempt import AttemptRecord
from hookstream.core.model.outcome import Complete, Delivered
from hookstream.core.model.varint import varint

_MAX_EXCERPT = 1024
"""The most characters of a response that the audit log keeps."""

_NULL = b"\x00"
"""The first branch of a union with null."""
_VALUE = b"\x02"
"""The second branch."""

_KEPT_TEXTS = 4096
"""The size of the cache of encoded recurring texts: types, subscriptions, hosts, words."""


def _zigzag(value: int) -> bytes:
    """Encode a long."""
    return varint((value << 1) ^ (value >> 63))


_SMALL = [_zigzag(value) for value in range(4096)]


def _long(value: int) -> bytes:
    return _SMALL[value] if 0 <= value < len(_SMALL) else _zigzag(value)


_instant = lru_cache(maxsize=256)(_zigzag)
"""Cached: attempts of one batch share their milliseconds."""


def _text(text: str) -> bytes:
    encoded = text.encode()
    return _long(len(encoded)) + encoded


_name = lru_cache(maxsize=_KEPT_TEXTS)(_text)


@lru_cache(maxsize=_KEPT_TEXTS)
def _names(*texts: str) -> bytes:
    """Encode neighbouring fields that recur together."""
    return b"".join(map(_text, texts))


@lru_cache(maxsize=_KEPT_TEXTS)
def _type(event_type: str, version: int) -> bytes:
    return _text(event_type) + _long(version)


@lru_cache(maxsize=_KEPT_TEXTS)
def _arrived(attempt: int, trigger: str, outcome: str, status: int, disposition: str) -> bytes:
    """Encode what there is between `batch_id` and `started_at` of an attempt without reason and error."""
    words = _text(trigger) + _VALUE + _text(outcome) + _text(disposition)
    return _long(attempt) + words + _NULL + _VALUE + _long(status) + _NULL


def _maybe_name(text: str | None) -> bytes:
    return _NULL if text is None else _VALUE + _name(text)


def _maybe_text(text: str | None, longest: int) -> bytes:
    return _VALUE + _text(text[:longest]) if text else _NULL


def attempt_body(record: AttemptRecord, *, worker: str) -> bytes:
    """Encode the Avro body of `hookstream.attempt` version 1, without a prefix.

    A record of a job's run has the second revision, which names the job. Any other has the first, which
    releases without runs read too.

    Args:
        record: The audit record.
        worker: The name of this process.
    """
    delivery, outcome, disposition = record.delivery, record.outcome, record.disposition
    origin, job = delivery.origin, delivery.job
    next_due_at: int | None = None
    if (
        type(outcome) is Delivered
        and type(disposition) is Complete
        and disposition.asked is None
        and record.note is None
    ):
        ended = _arrived(
            record.attempt, delivery.trigger, outcome.name, outcome.status, disposition.name
        )
    else:
        ended, next_due_at = _ended(record)
    return b"".join(
        (
            _text(delivery.delivery_id),
            _type(delivery.event_type, record.event_version),
            _text(delivery.event_id),
            _text(record.entity_id),
            _names(record.environment, delivery.subscription_id, delivery.partner_id),
            _NULL if record.batch_id is None else _VALUE + _name(record.batch_id),
            ended,
            _instant(record.started_at),
            _long(record.duration_us),
            _NULL if next_due_at is None else _VALUE + _zigzag(next_due_at),
            _long(record.request_bytes),
            _maybe_text(record.response_excerpt, _MAX_EXCERPT),
            _name(record.host),
            _NULL if record.trace_id is None else _VALUE + _text(record.trace_id),
            _names(worker, origin.topic),
            _long(origin.partition),
            _long(origin.offset),
            _instant(origin.timestamp),
            b"" if job is None else _VALUE + _name(job),
        )
    )


def _ended(record: AttemptRecord) -> tuple[bytes, int | None]:
    """Encode what there is between `batch_id` and `started_at`; return that, and when it is due next."""
    outcome, disposition = record.outcome, record.disposition
    reason, why, next_due_at = of_disposition(disposition)
    status, failed = of_outcome(outcome)
    encoded = (
        _long(record.attempt),
        _name(record.delivery.trigger),
        _NULL if outcome is None else _VALUE + _name(outcome.name),
        _name(disposition.name),
        _maybe_name(reason),
        _NULL if status is None else _VALUE + _long(status),
        _maybe_text(error_text(record, failed or why), MAX_ERROR),
    )
    return b"".join(encoded), next_due_at
