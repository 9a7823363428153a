"""Reads and generates signing keys of both schemes as fields of a `SigningSecret`."""

from collections.abc import Callable

from hookstream.adapters import ed25519
from hookstream.core.delivery.signing import (
    PRIVATE_PREFIX,
    PUBLIC_PREFIX,
    parse_secret,
    write_public_key,
)
from hookstream.core.model.subscription import SigningScheme
from hookstream.core.planning.declared import SigningKey
from hookstream.errors import InputRefused

KEY_BYTES = 32
"""The size of a generated key: that of an ed25519 seed. For v1, Standard Webhooks takes 24 to 64 bytes,
and the hash yields 32."""


def read_signing_key(text: str) -> SigningKey:
    """Return the key of a `whsec_` secret or of a `whsk_` private key.

    Raises:
        InputRefused: It is neither. The message never includes any of it.
    """
    if text.startswith(PUBLIC_PREFIX):
        raise InputRefused(f"it is a public key: the private one, {PRIVATE_PREFIX}, signs")
    if not text.startswith(PRIVATE_PREFIX):
        return SigningKey(parse_secret(text))
    seed, public = ed25519.read_private_key(text)
    return SigningKey(seed, SigningScheme.V1A, write_public_key(public))


def generated_key(random_bytes: Callable[[int], bytes], scheme: SigningScheme) -> SigningKey:
    """Return a new key of random bytes."""
    key = random_bytes(KEY_BYTES)
    match scheme:
        case SigningScheme.V1:
            return SigningKey(key)
        case SigningScheme.V1A:
            return SigningKey(key, scheme, write_public_key(ed25519.public_key(key)))
