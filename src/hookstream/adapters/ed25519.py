"""Signs and verifies with ed25519 keys (`v1a`), by the library `cryptography`."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from hookstream.core.delivery.signing import PrivateKey, Sign, parse_private_key
from hookstream.errors import InputRefused


def signer(seed: bytes) -> Sign:
    """Return the function that signs with the key of a seed of 32 bytes."""
    return Ed25519PrivateKey.from_private_bytes(seed).sign


def public_key(seed: bytes) -> bytes:
    """Return the public key of a seed, 32 bytes."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def read_private_key(text: str) -> PrivateKey:
    """Return a `whsk_` key whose parts belong together.

    Raises:
        InputRefused: It is not such a key. The message never includes any of it.
    """
    key = parse_private_key(text)
    if public_key(key.seed) != key.public:
        raise InputRefused("the public part of the private key does not belong to its seed")
    return key


def private_key(seed: bytes) -> PrivateKey:
    """Return the key of a seed of 32 bytes."""
    return PrivateKey(seed, public_key(seed))


def verifies(public: bytes, message: bytes, signed: bytes) -> bool:
    """Return whether a signature of a message is by the private key of a public one."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signed, message)
    except (InvalidSignature, ValueError):
        # ValueError: the bytes are not a point of the curve.
        return False
    return True
