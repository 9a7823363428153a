"""Requests are signed according to Standard Webhooks, over id, timestamp and exact body.

Source: standard-webhooks/spec, version 1.0.0: `v1` is HMAC-SHA256, `v1a` is ed25519. During a
rotation several secrets sign: a receiver accepts any of the signatures. What ed25519 computes is
given as a function, since it needs a library.
"""

import binascii
import hmac
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from hookstream import __version__
from hookstream.errors import InputRefused

SECRET_PREFIX = "whsec_"  # noqa: S105 - the public prefix of every secret, not a secret itself
PRIVATE_PREFIX = "whsk_"
PUBLIC_PREFIX = "whpk_"
SHORTEST_KEY = 24
LONGEST_KEY = 64
"""Bounds of a key in bytes, from the specification."""

SEED_BYTES = 32
PUBLIC_BYTES = 32
"""Sizes of an ed25519 key's private and public part."""

Sign: TypeAlias = Callable[[bytes], bytes]
"""Returns the ed25519 signature of a message, 64 bytes."""
Signer: TypeAlias = bytes | Sign
"""What signs: the raw key of a `v1` secret, or the function of a `v1a` key."""

SIGNATURE = "webhook-signature"
_ATTEMPT, _TRIGGER = "hookstream-attempt", "hookstream-trigger"
REPLAY_HEADER = "hookstream-replay"
"""The job whose run of a past event an attempt belongs to. It is not signed."""
_AFTER_TRIGGER = 5
"""Its place among the headers of an attempt."""
_OF_ONE_DELIVERY = frozenset({_ATTEMPT, _TRIGGER})
JSON = "application/json"
"""The media type of a body, unless its format has another."""

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
    if text.startswith((PRIVATE_PREFIX, PUBLIC_PREFIX)):
        raise InputRefused("the signing secret is an ed25519 key; a whsec_ secret is required")
    if not text.startswith(SECRET_PREFIX):
        raise InputRefused("the signing secret does not begin with whsec_")
    key = _material(text, SECRET_PREFIX)
    if not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        raise InputRefused(
            f"the signing secret has {len(key)} bytes; "
            f"it must have {SHORTEST_KEY} to {LONGEST_KEY}"
        )
    return key


class PrivateKey(NamedTuple):
    """The two parts of an ed25519 key's text."""

    seed: bytes
    public: bytes

    def __repr__(self) -> str:
        """Return nothing of the seed."""
        return f"PrivateKey({write_public_key(self.public)})"


def parse_private_key(text: str) -> PrivateKey:
    """Return the parts of a `whsk_` key: base64 of the seed and the public key, 32 bytes each.

    Whether they belong together is not checked here.

    Raises:
        InputRefused: It is not such a key. The message never includes any of it.
    """
    if not text.startswith(PRIVATE_PREFIX):
        raise InputRefused(f"the private key does not begin with {PRIVATE_PREFIX}")
    key = _material(text, PRIVATE_PREFIX)
    if len(key) != SEED_BYTES + PUBLIC_BYTES:
        raise InputRefused(
            f"the private key has {len(key)} bytes; it must have {SEED_BYTES + PUBLIC_BYTES}"
        )
    return PrivateKey(key[:SEED_BYTES], key[SEED_BYTES:])


def write_private_key(key: PrivateKey) -> str:
    """Return the `whsk_` text of a key, as `parse_private_key` reads it."""
    return PRIVATE_PREFIX + _base64(key.seed + key.public)


def parse_public_key(text: str) -> bytes:
    """Return the 32 bytes of a `whpk_` key.

    Raises:
        InputRefused: It is not such a key.
    """
    if not text.startswith(PUBLIC_PREFIX):
        raise InputRefused(f"the public key does not begin with {PUBLIC_PREFIX}")
    key = _material(text, PUBLIC_PREFIX)
    if len(key) != PUBLIC_BYTES:
        raise InputRefused(f"the public key has {len(key)} bytes; it must have {PUBLIC_BYTES}")
    return key


def write_public_key(public: bytes) -> str:
    """Return the `whpk_` text of a key, as `parse_public_key` reads it."""
    return PUBLIC_PREFIX + _base64(public)


def _material(text: str, prefix: str) -> bytes:
    """Return the bytes of a secret's base64, with or without padding."""
    digits = text[len(prefix) :].rstrip("=")
    try:
        return binascii.a2b_base64(digits + "=" * (-len(digits) % 4), strict_mode=True)
    except (binascii.Error, ValueError):
        # `from None`: the cause would include the text.
        kind = "signing secret" if prefix == SECRET_PREFIX else "signing key"
        raise InputRefused(f"the {kind} is not base64 after {prefix}") from None


def _base64(value: bytes) -> str:
    return binascii.b2a_base64(value, newline=False).decode()


def write_secret(key: bytes) -> str:
    """Return the `whsec_` text of a key, as `parse_secret` reads it."""
    return SECRET_PREFIX + _base64(key)


def signature(keys: Sequence[bytes], webhook_id: str, timestamp_s: int, body: bytes) -> str:
    """Return the value of `webhook-signature`: a `v1` entry for each key, separated by spaces.

    Args:
        keys: Raw HMAC keys, in signing order.
        webhook_id: The delivery's id; it contains no dot.
        timestamp_s: The time of this attempt, in whole seconds since the epoch.
        body: The exact bytes that are sent.
    """
    # Written out, as is the base64 below, and a list: each attempt comes by here.
    signed = f"{webhook_id}.{timestamp_s}.".encode() + body
    return " ".join(
        [
            "v1," + binascii.b2a_base64(hmac.digest(key, signed, "sha256"), newline=False).decode()
            for key in keys
        ]
    )


def signed_content(webhook_id: str, timestamp_s: int, body: bytes) -> bytes:
    """Return the bytes that are signed: `id.timestamp.body`."""
    return f"{webhook_id}.{timestamp_s}.".encode() + body


def mixed_signature(
    signers: Sequence[Signer], webhook_id: str, timestamp_s: int, body: bytes
) -> str:
    """Return the value of `webhook-signature` where some signers have ed25519 keys.

    Args:
        signers: In signing order: a `v1` entry for each raw key, a `v1a` entry for each function.
        webhook_id: As for `signature`.
        timestamp_s: As for `signature`.
        body: As for `signature`.
    """
    signed = signed_content(webhook_id, timestamp_s, body)
    return " ".join(
        f"v1,{_base64(hmac.digest(signer, signed, 'sha256'))}"
        if isinstance(signer, bytes)
        else f"v1a,{_base64(signer(signed))}"
        for signer in signers
    )


class RequestHeaders:
    """The headers of one subscription's requests, signed by `v1`; constant ones are built once."""

    __slots__ = ("_constant", "_keys")

    def __init__(
        self,
        keys: Sequence[bytes],
        static: Sequence[tuple[str, str]] = (),
        content_type: str = JSON,
    ) -> None:
        self._keys = tuple(keys)
        self._constant = (
            ("content-type", content_type),
            ("user-agent", USER_AGENT),
            # A reserved name was refused when the subscription was written; a row written by other
            # means must not be able to replace a signature either.
            *((name, value) for name, value in static if not reserved(name)),
        )

    def of(
        self,
        webhook_id: str,
        timestamp_s: int,
        body: bytes,
        *,
        attempt: int,
        trigger: str,
        replay: str | None = None,
    ) -> list[tuple[str, str]]:
        """Return all headers of one attempt that hookstream sets.

        Args:
            webhook_id: The delivery's id.
            timestamp_s: The time of this attempt, in whole seconds since the epoch.
            body: The exact bytes that are sent.
            attempt: The number of this attempt, from 1.
            trigger: Why it is made: a word of `Trigger`.
            replay: The job whose run it belongs to, a replay's or a resend's; None: no such header.
        """
        headers = [
            ("webhook-id", webhook_id),
            ("webhook-timestamp", str(timestamp_s)),
            ("webhook-signature", signature(self._keys, webhook_id, timestamp_s, body)),
            (_ATTEMPT, str(attempt)),
            (_TRIGGER, trigger),
            *self._constant,
        ]
        if replay is not None:
            headers.insert(_AFTER_TRIGGER, (REPLAY_HEADER, replay))
        return headers

    def of_batch(
        self, batch_id: str, timestamp_s: int, body: bytes, *, replay: str | None = None
    ) -> list[tuple[str, str]]:
        """Return all headers of a batch that hookstream sets: attempts and triggers are its members' own.

        Args:
            batch_id: The batch's id.
            timestamp_s: As for `of`.
            body: As for `of`.
            replay: As for `of`: its members are of one run.
        """
        headers = self.of(batch_id, timestamp_s, body, attempt=0, trigger="", replay=replay)
        return [header for header in headers if header[0] not in _OF_ONE_DELIVERY]


class MixedRequestHeaders(RequestHeaders):
    """The headers of a subscription some of whose secrets are ed25519 keys."""

    __slots__ = ("_signers",)

    def __init__(
        self,
        signers: Sequence[Signer],
        static: Sequence[tuple[str, str]] = (),
        content_type: str = JSON,
    ) -> None:
        super().__init__((), static, content_type)
        self._signers = tuple(signers)

    def of(
        self,
        webhook_id: str,
        timestamp_s: int,
        body: bytes,
        *,
        attempt: int,
        trigger: str,
        replay: str | None = None,
    ) -> list[tuple[str, str]]:
        """As `RequestHeaders.of`."""
        headers = super().of(
            webhook_id, timestamp_s, body, attempt=attempt, trigger=trigger, replay=replay
        )
        signed = mixed_signature(self._signers, webhook_id, timestamp_s, body)
        return [(name, signed if name == SIGNATURE else value) for name, value in headers]


def request_headers(
    signers: Sequence[Signer],
    static: Sequence[tuple[str, str]] = (),
    content_type: str = JSON,
) -> RequestHeaders:
    """Return the headers of requests that are signed by all signers, in their order."""
    keys = [signer for signer in signers if isinstance(signer, bytes)]
    # Most subscriptions have raw keys alone: those pay nothing for the others.
    if len(keys) == len(signers):
        return RequestHeaders(keys, static, content_type)
    return MixedRequestHeaders(signers, static, content_type)


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
