"""Answers are classified by their status line only; an error after it changes nothing.

The rules are the usual ones (Standard Webhooks, RFC 9110): a 4xx is retried, because partners
deploy broken code. Only 410 and the statuses that a subscription lists as final end a delivery.
"""

import datetime as dt
import math
import re
from collections.abc import Set as AbstractSet
from email.utils import parsedate_to_datetime

from hookstream.core.model.instant import SECOND, Millis
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

_GONE = 410
_TOO_MANY_REQUESTS = 429
_UNAVAILABLE = 503

_LONGEST_RETRY_AFTER = 128
"""The longest Retry-After that is parsed, in characters: an HTTP date has fewer than 40."""

_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]*)?\Z")
_DELIVERED = tuple(map(Delivered, range(200, 300)))
"""By status: nearly every answer is one of them."""
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND = dt.timedelta(milliseconds=1)


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


def retry_after(text: str, *, now: Millis, longest: Millis) -> Millis | None:
    """Parse a Retry-After; None if it is unreadable.

    Seconds may have a fraction; a date may be in any of the three formats of RFC 9110 (5.6.7). A
    past date is 0. The result is at most `longest`.
    """
    text = text.strip()
    if not text or len(text) > _LONGEST_RETRY_AFTER:
        return None
    if _SECONDS.match(text):
        seconds = float(text)
        if not math.isfinite(seconds) or seconds * SECOND >= longest:
            return longest
        return math.ceil(seconds * SECOND)
    instant = _http_date(text)
    if instant is None:
        return None
    return min(max(instant - now, 0), longest)


def _http_date(text: str) -> Millis | None:
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            # The asctime format has no zone; an HTTP date is always in UTC.
            moment = moment.replace(tzinfo=dt.UTC)
        return (moment - _EPOCH) // _MILLISECOND
    except (ValueError, OverflowError):
        return None
