"""Classifies answers by their status line only; an error after it changes nothing.

The rules are the usual ones (Standard Webhooks, RFC 9110): a 4xx is retried, because partners
deploy broken code. Only 410 and the statuses that a subscription lists as final end a delivery.
"""

from collections.abc import Set as AbstractSet

from hookstream.core.model.instant import Millis
from hookstream.core.model.outcome import (
    AddressBlocked,
    Answer,
    Delivered,
    Failed,
    FailedForGood,
    FailureKind,
    Gone,
    Outcome,
    RefusalReason,
    Refused,
    Response,
    Throttled,
    TransportFailure,
)
from hookstream.core.outcome.answer_headers import retry_after

_GONE = 410
_TOO_MANY_REQUESTS = 429
_UNAVAILABLE = 503

_DELIVERED = tuple(map(Delivered, range(200, 300)))
"""By status: nearly every answer is one of them."""


def classify(
    answer: Answer, *, now: Millis, final_statuses: AbstractSet[int], longest_tier: Millis
) -> Outcome:
    """Return the outcome of an attempt.

    Args:
        answer: The answer to the attempt.
        now: When the answer arrived: a Retry-After is relative to it.
        final_statuses: The statuses that the subscription does not want retried. They take
            precedence over 429 and 503, but never over 2xx and 410.
        longest_tier: The upper bound of a Retry-After.
    """
    match answer:
        case Response(status=status, retry_after=asked):
            if 200 <= status < 300:  # noqa: PLR2004 - the class of success
                return _DELIVERED[status - 200]
            return _refusal(status, asked, now, final_statuses, longest_tier)
        case TransportFailure(kind=kind, detail=detail):
            return Failed(kind, detail)
        case AddressBlocked(detail=detail):
            return Refused(RefusalReason.BLOCKED_ADDRESS, detail)


def _refusal(
    status: int,
    asked: str | None,
    now: Millis,
    final_statuses: AbstractSet[int],
    longest_tier: Millis,
) -> Outcome:
    if status == _GONE:
        return Gone(status)
    if status in final_statuses:
        return FailedForGood(status)
    if status in (_TOO_MANY_REQUESTS, _UNAVAILABLE):
        wait = None if asked is None else retry_after(asked, now=now, longest=longest_tier)
        # A 503 without Retry-After is an ordinary failure.
        if status == _TOO_MANY_REQUESTS or wait is not None:
            return Throttled(status, wait)
    return Failed(FailureKind.STATUS, f"answered {status}", status)
