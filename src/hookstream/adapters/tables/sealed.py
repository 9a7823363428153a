"""What seals and opens the signing secrets in a row: a key ring, or nothing where none is opened."""

from typing import Protocol


class Keys(Protocol):
    """The key ring, as far as rows need it."""

    def encrypt(self, plaintext: bytes, associated: bytes) -> tuple[str, str]:
        """Return the id of the key used, and the ciphertext as text."""

    def decrypt(self, key_id: str, ciphertext: str, associated: bytes) -> bytes:
        """Return the plaintext, or raise ConfigurationError where this ring cannot."""


class SealedSecrets:
    """Carries signing secrets from row to row without opening them: no key is needed for that.

    Pausing or deleting a subscription writes its row again and must work at night, on a machine that
    has no key ring. It fits `Keys`: what is "decrypted" is the ciphertext itself, and is written
    back as it was.
    """

    def encrypt(self, plaintext: bytes, associated: bytes) -> tuple[str, str]:
        """Return the key's id and the ciphertext that `decrypt` was given."""
        del associated
        key_id, _, ciphertext = plaintext.decode().partition("\0")
        return key_id, ciphertext

    def decrypt(self, key_id: str, ciphertext: str, associated: bytes) -> bytes:
        """Return key id and ciphertext as one: of no use but to be written back."""
        del associated
        return f"{key_id}\0{ciphertext}".encode()
