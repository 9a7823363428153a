"""A delivery's state is written to record headers and read back without loss.

Headers are rewritten on every hop, each name once, as UTF-8 text without control characters, so
they never grow. Upstream's headers are carried within bounds, except those with an `hs-` name: no
upstream producer can write a delivery's state.
"""

from hookstream.core.model import header_names as names
from hookstream.core.model.delivery import DeferReason, Delivery, OnlyFor, Trigger, UnmatchedEvent
from hookstream.core.model.event import Undecodable
from hookstream.core.model.header_reading import BadHeader, Fields, HeaderProblem, carried, text
from hookstream.core.model.instant import Millis, to_rfc3339, within_years
from hookstream.core.model.outcome import DeadReason
from hookstream.core.model.record import Header, Headers, Origin, Record, header_text

MAX_NAME = 256
"""The longest id or word in an `hs-` header, in characters."""

MAX_ERROR = 512
"""The longest last error or reason detail, in characters."""

MAX_STATUS = 999
"""The largest HTTP status."""

MAX_TRACESTATE = 512
"""The longest `tracestate`, in characters: W3C requires everyone to carry as much."""

_NAME = "hookstream"
_TRIGGERS = {trigger.value: trigger for trigger in Trigger}
_DEFER_REASONS = {reason.value: reason for reason in DeferReason}
_NOT_YET = {"no": True}
_YES = {"yes": True}
_STAGE_DELIVERY = "TASK_PUT"
_STAGE_DECODING = "VALUE_CONVERTER"
"""The stages of Kafka Connect that are closest to a delivery and to decoding."""


def tier_headers(
    what: Delivery | UnmatchedEvent, record_headers: Headers, *, written_at: Millis
) -> list[Header]:
    """Return the headers of a tier record.

    Args:
        what: The delivery, or the event that has no subscription yet.
        record_headers: The headers of the record whose value is copied: upstream's, or a tier's.
        written_at: The present.
    """
    if isinstance(what, Delivery):
        state = _delivery(what)
    else:
        # Of a redriven one: whether a replay took its record depends on it.
        state = [*_unmatched(what), (names.REASON, _optional(what.undecodable_as, MAX_NAME))]
    return carried(record_headers) + _encoded(
        [*state, (names.DUE_AT, _instant(what.due_at)), (names.WRITTEN_AT, _instant(written_at))]
    )


def dead_letter_headers(
    delivery: Delivery,
    record_headers: Headers,
    reason: DeadReason,
    detail: str,
    *,
    written_at: Millis,
) -> list[Header]:
    """Return the headers of a dead letter: the state, the reason, and those of Kafka Connect."""
    why = (_STAGE_DELIVERY, reason, detail)
    return _set_aside(record_headers, _delivery(delivery), delivery.origin, why, written_at)


def undecodable_headers(
    record: Record,
    undecodable: Undecodable,
    *,
    written_at: Millis,
    waited: UnmatchedEvent | None = None,
) -> list[Header]:
    """Return the headers of a record that goes to the undecodable topic.

    Args:
        record: The record as it was read.
        undecodable: Why it cannot become an event.
        written_at: The present.
        waited: The state in its headers if it was read from a tier; its origin is kept.
    """
    if waited is None:
        waited = UnmatchedEvent(
            record.origin,
            first_at=written_at,
            traceparent=header_text(record.headers, names.TRACEPARENT),
            tracestate=header_text(record.headers, names.TRACESTATE),
        )
    why = (_STAGE_DECODING, undecodable.reason, undecodable.detail)
    return _set_aside(record.headers, _unmatched(waited), waited.origin, why, written_at)


def unreadable_headers(
    record: Record,
    problem: HeaderProblem,
    *,
    written_at: Millis,
    reason: str = DeadReason.NOT_DECODABLE,
) -> list[Header]:
    """Return the headers of a tier record that is set aside because its own are unreadable.

    They are copied unchanged, so that a person can still interpret them.
    """
    kept: _State = [
        (name, text(value.decode(errors="replace"), MAX_NAME))
        for name, value in dict(record.headers).items()
        if name in _KEPT and value is not None
    ]
    why = (_STAGE_DELIVERY, reason, str(problem))
    return _set_aside(record.headers, kept, record.origin, why, written_at)


def is_for_subscription(headers: Headers) -> bool:
    """Return whether a tier record is a delivery. Otherwise it is an event still to be matched.

    An event that is to be matched for one subscription names it as well, but is no delivery yet.
    """
    found = {name for name, _ in headers}
    return names.SUBSCRIPTION_ID in found and names.ONLY_SUBSCRIPTION not in found


def read_delivery(headers: Headers) -> Delivery | HeaderProblem:
    """Read the delivery of a tier record or a dead letter."""
    try:
        fields = Fields(headers)
        return Delivery(
            delivery_id=fields.text(names.DELIVERY_ID),
            subscription_id=fields.text(names.SUBSCRIPTION_ID),
            partner_id=fields.text(names.PARTNER_ID),
            event_type=fields.text(names.EVENT_TYPE),
            event_id=fields.text(names.EVENT_ID),
            origin=fields.origin(),
            first_at=fields.instant(names.FIRST_AT),
            expires_at=fields.instant(names.EXPIRES_AT),
            attempt=fields.number(names.ATTEMPT),
            step=fields.number(names.STEP),
            trigger=_trigger(fields),
            due_at=fields.optional_instant(names.DUE_AT),
            deferrals=fields.number(names.DEFERRALS),
            deferred_reason=fields.optional_word(names.DEFERRED_REASON, _DEFER_REASONS),
            deferred_since=fields.optional_instant(names.DEFERRED_SINCE),
            last_outcome=fields.optional_text(names.LAST_OUTCOME),
            last_status=fields.optional_number(names.LAST_STATUS, MAX_STATUS),
            last_error=fields.optional_text(names.LAST_ERROR),
            traceparent=fields.optional_text(names.TRACEPARENT),
            tracestate=fields.optional_text(names.TRACESTATE),
            filter_asked=fields.optional_word(names.FILTER_ASKED, _NOT_YET) is None,
            job=fields.optional_job(names.JOB),
            as_granted_today=_granted_today(fields),
        )
    except BadHeader as bad:
        return bad.problem


def read_unmatched(headers: Headers) -> UnmatchedEvent | HeaderProblem:
    """Read the event of a tier record that is no delivery yet, or an undecodable record."""
    try:
        fields = Fields(headers)
        return UnmatchedEvent(
            origin=fields.origin(),
            first_at=fields.instant(names.FIRST_AT),
            due_at=fields.optional_instant(names.DUE_AT),
            deferrals=fields.number(names.DEFERRALS),
            deferred_reason=fields.optional_word(names.DEFERRED_REASON, _DEFER_REASONS),
            deferred_since=fields.optional_instant(names.DEFERRED_SINCE),
            trigger=_trigger(fields),
            traceparent=fields.optional_text(names.TRACEPARENT),
            tracestate=fields.optional_text(names.TRACESTATE),
            undecodable_as=fields.optional_text(names.REASON),
            only=_only_for(fields),
        )
    except BadHeader as bad:
        return bad.problem


def _trigger(fields: Fields) -> Trigger:
    """Return the trigger; a test's has one attempt and is never kept, so nothing else may claim it."""
    trigger = fields.word(names.TRIGGER, _TRIGGERS)
    if trigger is Trigger.TEST:
        if not fields.has(names.SUBSCRIPTION_ID) or fields.has(names.ONLY_SUBSCRIPTION):
            raise BadHeader(names.TRIGGER, "is test, and the record is no delivery yet")
        if not fields.has(names.JOB):
            raise BadHeader(
                names.TRIGGER, f"is test, of a job's delivery only: {names.JOB} is missing"
            )
    return trigger


def _granted_today(fields: Fields) -> bool:
    if fields.optional_word(names.GRANTED_TODAY, _YES) is None:
        return False
    if fields.optional_job(names.JOB) is None:
        raise BadHeader(
            names.GRANTED_TODAY, f"is of a job's delivery only: {names.JOB} is missing"
        )
    return True


def _only_for(fields: Fields) -> OnlyFor | None:
    """Return whom an event is for; None: for everybody, which no header of a job may contradict."""
    if not (fields.has(names.ONLY_SUBSCRIPTION) or fields.has(names.JOB)):
        return None
    subscription_id = fields.text(names.ONLY_SUBSCRIPTION)
    if fields.text(names.SUBSCRIPTION_ID) != subscription_id:
        raise BadHeader(names.ONLY_SUBSCRIPTION, f"is not that of {names.SUBSCRIPTION_ID}")
    partner_id, job = fields.text(names.PARTNER_ID), fields.optional_job(names.JOB)
    if job is None:
        raise BadHeader(names.JOB, "is missing")
    return OnlyFor(subscription_id, partner_id, job, _granted_today(fields))


def read_origin(headers: Headers) -> Origin | None:
    """Return the origin that a record of hookstream's topics names; None: it cannot be read."""
    try:
        return Fields(headers).origin()
    except BadHeader:
        return None


_State = list[tuple[str, str | None]]


def _delivery(delivery: Delivery) -> _State:
    status, job = delivery.last_status, delivery.job
    return [
        (names.DELIVERY_ID, delivery.delivery_id),
        (names.SUBSCRIPTION_ID, delivery.subscription_id),
        (names.PARTNER_ID, delivery.partner_id),
        (names.EVENT_TYPE, delivery.event_type),
        (names.EVENT_ID, delivery.event_id),
        (names.ATTEMPT, str(delivery.attempt)),
        (names.STEP, str(delivery.step)),
        (names.EXPIRES_AT, _instant(delivery.expires_at)),
        (names.LAST_OUTCOME, delivery.last_outcome),
        (names.LAST_STATUS, None if status is None else str(status)),
        (names.LAST_ERROR, _optional(delivery.last_error, MAX_ERROR)),
        (names.FILTER_ASKED, None if delivery.filter_asked else "no"),
        (names.JOB, job),
        (names.GRANTED_TODAY, "yes" if delivery.as_granted_today and job is not None else None),
        *_waiting(delivery),
    ]


def _unmatched(event: UnmatchedEvent) -> _State:
    only = event.only
    if only is None:
        return _waiting(event)
    return [
        (names.ONLY_SUBSCRIPTION, only.subscription_id),
        (names.SUBSCRIPTION_ID, only.subscription_id),
        (names.PARTNER_ID, only.partner_id),
        (names.JOB, only.job),
        (names.GRANTED_TODAY, "yes" if only.as_granted_today else None),
        *_waiting(event),
    ]


def _waiting(what: Delivery | UnmatchedEvent) -> _State:
    reason = what.deferred_reason
    return [
        (names.TRIGGER, what.trigger.value),
        (names.FIRST_AT, _instant(what.first_at)),
        (names.DEFERRALS, str(what.deferrals)),
        (names.DEFERRED_REASON, None if reason is None else reason.value),
        (names.DEFERRED_SINCE, _instant(what.deferred_since)),
        (names.ORIGIN_TOPIC, what.origin.topic),
        (names.ORIGIN_PARTITION, str(what.origin.partition)),
        (names.ORIGIN_OFFSET, str(what.origin.offset)),
        (names.ORIGIN_TIMESTAMP, _instant(what.origin.timestamp)),
        (names.ORIGIN_MILLIS, _beyond(what.origin.timestamp)),
        (names.TRACEPARENT, _optional(what.traceparent, MAX_NAME)),
        (names.TRACESTATE, _optional(what.tracestate, MAX_TRACESTATE)),
    ]


def _set_aside(
    record_headers: Headers,
    state: _State,
    origin: Origin,
    why: tuple[str, str, str],
    written_at: Millis,
) -> list[Header]:
    """Return the headers of a record that is set aside: its state, and those of Kafka Connect.

    Args:
        record_headers: The headers of the record whose value is copied.
        state: The state that it has.
        origin: Where it came from.
        why: Kafka Connect's stage, the reason, and its detail.
        written_at: The present.
    """
    stage, reason, detail = why
    return carried(record_headers) + _encoded(
        [
            *state,
            (names.REASON, reason),
            (names.WRITTEN_AT, _instant(written_at)),
            (names.CONNECT_TOPIC, origin.topic),
            (names.CONNECT_PARTITION, str(origin.partition)),
            (names.CONNECT_OFFSET, str(origin.offset)),
            (names.CONNECT_NAME, _NAME),
            (names.CONNECT_STAGE, stage),
            (names.CONNECT_CLASS, reason),
            (names.CONNECT_MESSAGE, text(detail, MAX_ERROR)),
        ]
    )


def _encoded(state: _State) -> list[Header]:
    return [(name, value.encode()) for name, value in state if value is not None]


def _optional(value: str | None, longest: int) -> str | None:
    return None if value is None else text(value, longest)


def _instant(instant: Millis | None) -> str | None:
    return None if instant is None else to_rfc3339(within_years(instant))


def _beyond(instant: Millis) -> str | None:
    """Return the milliseconds of an instant that RFC 3339 cannot express."""
    return None if within_years(instant) == instant else str(instant)


_KEPT = frozenset(
    name for name, _ in _delivery(Delivery("", "", "", "", "", Origin("", 0, 0, 0), 0, 0))
) | {names.ONLY_SUBSCRIPTION}


def tier_key(state: Delivery | UnmatchedEvent) -> bytes:
    """Return the key of a tier record: the delivery's id, or the origin of an unmatched event."""
    if isinstance(state, Delivery):
        return state.delivery_id.encode()
    origin = state.origin
    return f"{origin.topic}/{origin.partition}/{origin.offset}".encode()
