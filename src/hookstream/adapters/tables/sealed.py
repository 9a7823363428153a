"""Encryption of the signing secrets in a row: by a key ring, or passed through without one."""

from typing import Protocol


class Keys(Protocol):
    """The part of the key ring that rows need."""

    def encrypt(self, plaintext: bytes, associated: bytes) -> tuple[str, str]:
        """Return the id of the key used, and the ciphertext as text."""

    def decrypt(self, key_id: str, ciphertext: str, associated: bytes) -> bytes:
        """Return the plaintext; raise ConfigurationError if this ring cannot decrypt it."""


class SealedSecrets:
    """Copies signing secrets from row to row without decrypting them, so it needs no key.

    Pausing or deleting a subscription rewrites its row and must work in an emergency, on a machine
    without a key ring. It implements `Keys`: `decrypt` returns the ciphertext itself, and `encrypt`
    writes it back unchanged.
    """

    def encrypt(self, plaintext: bytes, associated: bytes) -> tuple[str, str]:
        """Return the key's id and the ciphertext that `decrypt` was given."""
        del associated
        key_id, _, ciphertext = plaintext.decode().partition("\0")
        return key_id, ciphertext

    def decrypt(self, key_id: str, ciphertext: str, associated: bytes) -> bytes:
        """Return key id and ciphertext in one value, which only `encrypt` can read."""
        del associated
        return f"{key_id}\0{ciphertext}".encode()
