"""Verifies a request: its signature, its id and its timestamp."""

import binascii
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from hookstream.core.delivery.signing import (
    PUBLIC_PREFIX,
    REPLAY_HEADER,
    parse_public_key,
    parse_secret,
    signature,
    signed_content,
)
from hookstream.core.model.header_reading import is_job
from hookstream.errors import ConfigurationError, HookstreamError

TOLERANCE = 300
"""Seconds by which a request's time may differ from the receiver's clock, either way."""

_MAX_HEADER = 4096
_MAX_SIGNATURES = 16
_MAX_DIGITS = 12
_V1A = "v1a,"


class Reason(StrEnum):
    """Why a request failed verification."""

    MISSING_HEADER = "missing_header"
    BAD_HEADER = "bad_header"
    TOO_OLD = "too_old"
    TOO_NEW = "too_new"
    WRONG_SIGNATURE = "wrong_signature"


class VerificationFailed(HookstreamError):
    """Raised when a request fails verification: answer 401 and do nothing else.

    Args:
        reason: The stable name of the cause, for a metric or a log.
        detail: A sentence for a person; it contains no part of a secret or a valid signature.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(slots=True, frozen=True)
class Verified:
    """A genuine request."""

    id: str
    """The same for every copy of one event for one subscription: deduplicate by it."""
    timestamp: int
    """When this attempt was made: seconds since the epoch."""
    replay: str | None = None
    """The job that sends past events again (`hookstream-replay`), if one does. It is not signed."""


def verify(
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    now: float,
    tolerance: int = TOLERANCE,
) -> Verified:
    """Verify that a request is genuine and fresh, and return its id and timestamp.

    Args:
        headers: As received; the case of names does not matter.
        body: Exactly the bytes received, before any parsing.
        secrets: The endpoint's signing secrets (`whsec_...`) or public keys (`whpk_...`): several while
            one replaces another.
        now: Seconds since the epoch.
        tolerance: Seconds by which the request's time may differ from `now`.

    Raises:
        VerificationFailed: It is not genuine or not fresh; answer 401.
        InputRefused: A secret is malformed: the receiver's configuration is wrong, not the request.
        ConfigurationError: A public key is given, and `cryptography` is not installed.
    """
    publics = [parse_public_key(each) for each in secrets if each.startswith(PUBLIC_PREFIX)]
    keys = [parse_secret(each) for each in secrets if not each.startswith(PUBLIC_PREFIX)]
    found = {name.lower(): value for name, value in headers.items()}
    webhook_id = _header(found, "webhook-id")
    stamp = _header(found, "webhook-timestamp")
    signatures = _header(found, "webhook-signature")
    # Without leading zeros, which would make the text differ from the signed one.
    if not stamp.isdigit() or str(int(stamp[:_MAX_DIGITS])) != stamp:
        raise VerificationFailed(Reason.BAD_HEADER, "webhook-timestamp is not a whole number")
    timestamp = int(stamp)
    if timestamp < now - tolerance:
        raise VerificationFailed(Reason.TOO_OLD, f"sent more than {tolerance} s ago")
    if timestamp > now + tolerance:
        raise VerificationFailed(Reason.TOO_NEW, f"sent more than {tolerance} s in the future")
    due = signature(keys, webhook_id, timestamp, body).split()
    signed = signed_content(webhook_id, timestamp, body)
    fits = _any_fits(due, signatures), _any_is_by(publics, signed, signatures)
    if not any(fits):
        raise VerificationFailed(Reason.WRONG_SIGNATURE, "no signature matches any secret")
    return Verified(webhook_id, timestamp, _replay(found))


def _replay(headers: Mapping[str, str]) -> str | None:
    """Return the named job, with a bounded length: a guard may keep it, and it is not signed."""
    if REPLAY_HEADER not in headers:
        return None
    job = _header(headers, REPLAY_HEADER)
    if not is_job(job):
        detail = f"the header {REPLAY_HEADER} is not the id of a job"
        raise VerificationFailed(Reason.BAD_HEADER, detail)
    return job


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name)
    if value is None:
        raise VerificationFailed(Reason.MISSING_HEADER, f"the header {name} is missing")
    if not value or len(value) > _MAX_HEADER or not value.isascii():
        detail = f"the header {name} is empty, too long or not ASCII"
        raise VerificationFailed(Reason.BAD_HEADER, detail)
    return value


def _any_fits(due: Sequence[str], signatures: str) -> bool:
    """Return whether any signature is an expected one, in constant time for each pair.

    Entries of other versions and malformed ones match none.
    """
    given = [entry.encode() for entry in signatures.split()[:_MAX_SIGNATURES]]
    fits = [hmac.compare_digest(one.encode(), other) for one in due for other in given]
    return any(fits)


def _any_is_by(publics: Sequence[bytes], signed: bytes, signatures: str) -> bool:
    """Return whether any `v1a` signature is by one of the public keys."""
    if not publics:
        return False
    try:
        from hookstream.adapters.ed25519 import verifies  # noqa: PLC0415  needs a library
    except ImportError:
        raise ConfigurationError(
            "a public key (whpk_) needs the package cryptography: pip install cryptography"
        ) from None
    given = [_decoded(entry) for entry in signatures.split()[:_MAX_SIGNATURES]]
    return any(verifies(public, signed, each) for public in publics for each in given if each)


def _decoded(entry: str) -> bytes | None:
    """Return the bytes of a `v1a` entry; None for any other and a malformed one."""
    if not entry.startswith(_V1A):
        return None
    try:
        return binascii.a2b_base64(entry[len(_V1A) :], strict_mode=True)
    except (binascii.Error, ValueError):
        return None
