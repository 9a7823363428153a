"""Parses the response headers by which a receiver controls its delivery and its lane.

These are `webhook-delivery`, `Retry-After` and `RateLimit`. An unreadable value is ignored: the status line
has decided already.
"""

import datetime as dt
import math
import re
from email.utils import parsedate_to_datetime
from enum import StrEnum

from hookstream.core.model.instant import SECOND, Millis

LONGEST = 1024
"""The longest `webhook-delivery` or `RateLimit` that is parsed, in characters."""

_LONGEST_RETRY_AFTER = 128
"""The longest Retry-After that is parsed, in characters: an HTTP date has fewer than 40."""

_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]*)?\Z")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND = dt.timedelta(milliseconds=1)


class ReceiverRequest(StrEnum):
    """The values of `webhook-delivery`."""

    DISABLE = "disable"
    """Disable the subscription, as after a 410."""
    ABORT = "abort-message"
    """Do not attempt this delivery again."""

    @property
    def described(self) -> str:
        """The header that requested it, for operators."""
        return f"with webhook-delivery: {self.value}"


def receiver_request(value: str) -> ReceiverRequest | None:
    """Parse a `webhook-delivery`; None if it requests nothing that is known.

    Several values are separated by commas. Case does not matter, unknown words are ignored, and
    `disable` takes precedence.
    """
    if len(value) > LONGEST:
        return None
    words = {word.strip().lower() for word in value.split(",")}
    return next((each for each in ReceiverRequest if each.value in words), None)


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


# Structured field values (RFC 9651, section 4.2), as far as draft-ietf-httpapi-ratelimit-headers-11
# needs them: a list of strings with parameters.

_STRING = r'"(?:[ !#-\[\]-~]|\\["\\])*"'
_KEY = r"[a-z*][a-z0-9_.*-]*"
_VALUE = (
    r"-?[0-9]{1,15}(?:\.[0-9]{1,3})?"
    rf"|{_STRING}"
    r"|[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*"
    r"|:[A-Za-z0-9+/=]*:"
    r"|\?[01]"
)
_PARAMETER = re.compile(rf"; *({_KEY})(?:=({_VALUE}))?")
_POLICY = re.compile(_STRING)
_COMMA = re.compile(r"[ \t]*,[ \t]*")
_INTEGER = re.compile(r"-?[0-9]+")


def rest_in(value: str, *, longest: Millis) -> Millis | None:
    """Return for how long a `RateLimit` allows no further request; None if it allows one.

    Of several policies with nothing remaining (`r=0`), the one that is reset last (`t`, in seconds) counts.
    A policy without a readable `r` or `t` is ignored, and so is a value that is malformed as a whole.

    Args:
        value: The header's value; several headers are joined by commas.
        longest: The upper bound of the result.
    """
    policies = _policies(value.strip(" \t")) if len(value) <= LONGEST else None
    if policies is None:
        return None
    resets = [
        min(int(policy["t"]) * SECOND, longest)
        for policy in policies
        if _is_count(policy.get("r")) and _is_count(policy.get("t")) and int(policy["r"]) == 0
    ]
    return max(resets, default=None)


def _policies(text: str) -> list[dict[str, str]] | None:
    """Return the raw parameters of each policy; None if the text is not a list of policies."""
    found: list[dict[str, str]] = []
    at = 0
    while True:
        name = _POLICY.match(text, at)
        if name is None:
            return None
        at = name.end()
        parameters: dict[str, str] = {}
        while (parameter := _PARAMETER.match(text, at)) is not None:
            # Of a repeated parameter the last value counts.
            parameters[parameter[1]] = parameter[2] or ""
            at = parameter.end()
        found.append(parameters)
        if at == len(text):
            return found
        comma = _COMMA.match(text, at)
        if comma is None:
            return None
        at = comma.end()


def _is_count(text: str | None) -> bool:
    """Return whether a parameter is an integer of at least 0."""
    return text is not None and _INTEGER.fullmatch(text) is not None and int(text) >= 0
