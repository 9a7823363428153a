"""An answer becomes an outcome by its status line alone; what broke after it changes nothing.

The rules are those of the field (Standard Webhooks, RFC 9110): a 4xx is retried, since partners
deploy broken code; only 410 and the statuses that a subscription lists as final end a delivery.
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
"""Characters of a Retry-After that are looked at: an HTTP date has fewer than 40."""

_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]*)?\Z")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND = dt.timedelta(milliseconds=1)


def classify(
    answer: Answer, *, now: Millis, final_statuses: AbstractSet[int], longest_tier: Millis
) -> Outcome:
    """Return what an attempt came to.

    Args:
        answer: What the attempt was answered by.
        now: When the answer came: a Retry-After counts from here.
        final_statuses: The statuses after which the subscription wants no retry. They count
            before 429 and 503 do, but never before 2xx and 410.
        longest_tier: A Retry-After is capped here.
    """
    match answer:
        case Response(status=status, retry_after=asked):
            if 200 <= status < 300:  # noqa: PLR2004 - the class of success
                return Delivered(status)
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
        # A 503 that does not say for how long is an ordinary failure.
        if status == _TOO_MANY_REQUESTS or wait is not None:
            return Throttled(status, wait)
    return Failed(FailureKind.STATUS, f"answered {status}", status)


def retry_after(text: str, *, now: Millis, longest: Millis) -> Millis | None:
    """Return how long a Retry-After asks to be left alone, or None where it says nothing readable.

    Seconds may have a fraction; a date may be in any of the three syntaxes of RFC 9110 (5.6.7);
    a date that has passed is 0. The answer is never longer than `longest`.
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
            # The asctime form names no zone; an HTTP date is always in UTC.
            moment = moment.replace(tzinfo=dt.UTC)
        return (moment - _EPOCH) // _MILLISECOND
    except (ValueError, OverflowError):
        return None
