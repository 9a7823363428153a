"""Requests are signed according to Standard Webhooks v1: HMAC-SHA256 over id, timestamp and exact body.

Source: standard-webhooks/spec, version 1.0.0. During a rotation several secrets sign: a receiver
accepts any of the signatures.
"""

import binascii
import hmac
import re
from collections.abc import Sequence

from hookstream import __version__
from hookstream.errors import InputRefused

SECRET_PREFIX = "whsec_"  # noqa: S105 - the public prefix of every secret, not a secret itself
SHORTEST_KEY = 24
LONGEST_KEY = 64
"""Bounds of a key in bytes, from the specification."""

USER_AGENT = f"hookstream/{__version__}"

MAX_HEADER_NAME = 64
MAX_HEADER_VALUE = 1024

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_FIELD_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?\Z")

_RESERVED_PREFIXES = ("webhook-", "hookstream-", "proxy-", "sec-")
_RESERVED = frozenset(
    {
        # Sent by hookstream itself.
        "accept-encoding",
        "content-type",
        "user-agent",
        "traceparent",
        "tracestate",
        "baggage",
        # Message framing and hop-by-hop headers: a subscription that set them could smuggle
        # requests.
        "connection",
        "content-encoding",
        "content-length",
        "date",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
        # Headers that endpoints trust a proxy for.
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-real-ip",
    }
)


def parse_secret(text: str) -> bytes:
    """Return the key of a `whsec_` secret: 24 to 64 bytes, base64 with or without padding.

    Raises:
        InputRefused: It is not such a secret. The message never includes any of it.
    """
    if text.startswith(("whsk_", "whpk_")):
        raise InputRefused("the signing secret is an ed25519 key; a whsec_ secret is required")
    if not text.startswith(SECRET_PREFIX):
        raise InputRefused("the signing secret does not begin with whsec_")
    digits = text[len(SECRET_PREFIX) :].rstrip("=")
    try:
        key = binascii.a2b_base64(digits + "=" * (-len(digits) % 4), strict_mode=True)
    except (binascii.Error, ValueError):
        # `from None`: the cause would include the text.
        raise InputRefused("the signing secret is not base64 after whsec_") from None
    if not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        raise InputRefused(
            f"the signing secret has {len(key)} bytes; "
            f"it must have {SHORTEST_KEY} to {LONGEST_KEY}"
        )
    return key


def write_secret(key: bytes) -> str:
    """Return the `whsec_` text of a key, as `parse_secret` reads it."""
    return SECRET_PREFIX + binascii.b2a_base64(key, newline=False).decode()


def signature(keys: Sequence[bytes], webhook_id: str, timestamp_s: int, body: bytes) -> str:
    """Return the value of `webhook-signature`: a `v1` entry for each key, separated by spaces.

    Args:
        keys: Raw HMAC keys, in signing order.
        webhook_id: The delivery's id; it contains no dot.
        timestamp_s: The time of this attempt, in whole seconds since the epoch.
        body: The exact bytes that are sent.
    """
    signed = f"{webhook_id}.{timestamp_s}.".encode() + body
    return " ".join(
        "v1," + binascii.b2a_base64(hmac.digest(key, signed, "sha256"), newline=False).decode()
        for key in keys
    )


class RequestHeaders:
    """The headers of one subscription's requests; constant ones are built once."""

    __slots__ = ("_constant", "_keys")

    def __init__(self, keys: Sequence[bytes], static: Sequence[tuple[str, str]] = ()) -> None:
        self._keys = tuple(keys)
        self._constant = (
            ("content-type", "application/json"),
            ("user-agent", USER_AGENT),
            # A reserved name was refused when the subscription was written; a row written by other
            # means must not be able to replace a signature either.
            *((name, value) for name, value in static if not reserved(name)),
        )

    def of(
        self, webhook_id: str, timestamp_s: int, body: bytes, *, attempt: int, trigger: str
    ) -> list[tuple[str, str]]:
        """Return all headers of one attempt that hookstream sets.

        Args:
            webhook_id: The delivery's id.
            timestamp_s: The time of this attempt, in whole seconds since the epoch.
            body: The exact bytes that are sent.
            attempt: The number of this attempt, from 1.
            trigger: Why it is made: a word of `Trigger`.
        """
        return [
            ("webhook-id", webhook_id),
            ("webhook-timestamp", str(timestamp_s)),
            ("webhook-signature", signature(self._keys, webhook_id, timestamp_s, body)),
            ("hookstream-attempt", str(attempt)),
            ("hookstream-trigger", trigger),
            *self._constant,
        ]


def reserved(name: str) -> bool:
    """Return whether a header is set by hookstream or by HTTP, so that a subscription may not set it."""
    lower = name.lower()
    return lower in _RESERVED or lower.startswith(_RESERVED_PREFIXES)


def header_problem(name: str, value: str) -> str | None:
    """Return why a subscription may not send this static header; None if it may.

    The value is never quoted: it may be a secret.
    """
    if len(name) > MAX_HEADER_NAME or not _TOKEN.match(name):
        return f"{ascii(name)[:80]} is not a header name of at most {MAX_HEADER_NAME} characters"
    if reserved(name):
        return f"the header {name} is reserved"
    if len(value) > MAX_HEADER_VALUE or not _FIELD_VALUE.match(value):
        return (
            f"the value of the header {name} is not printable ASCII "
            f"of 1 to {MAX_HEADER_VALUE} characters"
        )
    return None
