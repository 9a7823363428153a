"""What a receiver asks for in the head of its answer: a word about the delivery, a rest for its lane.

Whatever cannot be read is ignored: the status line has decided already.
"""

import re
from enum import StrEnum

from hookstream.core.model.instant import SECOND, Millis

LONGEST = 1024
"""The longest value that is parsed, in characters."""


class Asked(StrEnum):
    """The values of `webhook-delivery`."""

    DISABLE = "disable"
    """Disable the subscription, as after a 410."""
    ABORT = "abort-message"
    """Do not attempt this delivery again."""

    @property
    def said(self) -> str:
        """How it was asked, for a person."""
        return f"with webhook-delivery: {self.value}"


def asked_in(value: str) -> Asked | None:
    """Return what a `webhook-delivery` asks for; None if that is nothing known.

    Several values are separated by commas. Case does not matter, unknown words are ignored, and
    `disable` takes precedence.
    """
    if len(value) > LONGEST:
        return None
    words = {word.strip().lower() for word in value.split(",")}
    return next((asked for asked in Asked if asked.value in words), None)


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
    """Return how long a `RateLimit` says that nothing more may be sent; None if something may.

    Of several policies with nothing remaining (`r=0`) the one counts that is reset last (`t`, in
    seconds). A policy without a readable `r` or `t` is ignored, and a value that is not of the
    format as a whole.

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
    """Return the parameters of each policy as they are written, None if the text is no such list."""
    found: list[dict[str, str]] = []
    at = 0
    while True:
        name = _POLICY.match(text, at)
        if name is None:
            return None
        at = name.end()
        parameters: dict[str, str] = {}
        while (parameter := _PARAMETER.match(text, at)) is not None:
            # A repeated parameter counts as it was written last.
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
