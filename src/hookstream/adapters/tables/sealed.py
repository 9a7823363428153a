"""Signing secrets are carried from row to row without being opened: no key is needed for that.

Pausing or deleting a subscription writes its row again and must work at night, on a machine that
has no key ring.
"""


class SealedSecrets:
    """Fits `Keys`: what is "decrypted" is the ciphertext itself, and is written back as it was."""

    def encrypt(self, plaintext: bytes, associated: bytes) -> tuple[str, str]:
        """Return the key's id and the ciphertext that `decrypt` was given."""
        del associated
        key_id, _, ciphertext = plaintext.decode().partition("\0")
        return key_id, ciphertext

    def decrypt(self, key_id: str, ciphertext: str, associated: bytes) -> bytes:
        """Return key id and ciphertext as one: of no use but to be written back."""
        del associated
        return f"{key_id}\0{ciphertext}".encode()
