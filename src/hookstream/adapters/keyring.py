"""The key ring that encrypts signing secrets with AES-256-GCM for storage in the log.

A ring is JSON: `{"active": "k2", "keys": {"k1": "<base64 of 32 bytes>", "k2": "..."}}`. The active
key encrypts, every key decrypts. To replace a key, add one, make it active, write every
subscription again, and only then remove the old one.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from pathlib import Path

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hookstream.errors import ConfigurationError

KEY_BYTES = 32
NONCE_BYTES = 12
"""The nonce size for GCM (NIST SP 800-38D 8.2.1): random ones stay unique for 2**32 secrets."""
TAG_BYTES = 16
MAX_RING_BYTES = 64 * 1024


class KeyMissing(ConfigurationError):
    """Raised when a secret was encrypted with a key that is not in the ring."""


class CiphertextBroken(ConfigurationError):
    """Raised for a ciphertext of another key of that name or another owner, or a truncated one."""


class KeyRing:
    """The keys by id, one of them active.

    Args:
        active: Id of the key that encrypts.
        keys: The raw keys by id, each of 32 bytes.
        random_bytes: Generates the nonces: `os.urandom`, or something as unpredictable.

    Raises:
        ConfigurationError: A key has another length, or the active one is missing.
    """

    __slots__ = ("_active", "_ciphers", "_keys", "_random_bytes")

    def __init__(
        self, active: str, keys: Mapping[str, bytes], random_bytes: Callable[[int], bytes]
    ) -> None:
        for key_id, key in keys.items():
            if len(key) != KEY_BYTES:
                raise ConfigurationError(
                    f"key {key_id!r} of the key ring has {len(key)} bytes, not {KEY_BYTES}"
                )
        if active not in keys:
            raise ConfigurationError(f"the key ring's active key {active!r} is not among its keys")
        self._active = active
        self._keys = dict(keys)
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._random_bytes = random_bytes

    def __repr__(self) -> str:
        """Name the keys without showing them."""
        return f"KeyRing(active={self._active!r}, keys={sorted(self._ciphers)})"

    @property
    def active(self) -> str:
        """The id of the key that encrypts."""
        return self._active

    def derived(self, purpose: bytes) -> "KeyRing":
        """Return a ring with keys of the same ids, each derived by HKDF (RFC 5869) for one purpose.

        What is encrypted often must not use up the nonces of the keys that secrets are stored with.
        """
        keys = {
            key_id: HKDF(SHA256(), KEY_BYTES, None, purpose).derive(key)
            for key_id, key in self._keys.items()
        }
        return KeyRing(self._active, keys, self._random_bytes)

    def encrypt(self, plaintext: bytes, associated: bytes) -> tuple[str, str]:
        """Encrypt with the active key.

        Args:
            plaintext: The secret.
            associated: Identifies its owner; it decrypts for this owner only.

        Returns:
            The key's id, and the base64 text of nonce, ciphertext and tag.
        """
        nonce = self._random_bytes(NONCE_BYTES)
        sealed = self._ciphers[self._active].encrypt(nonce, plaintext, associated)
        return self._active, base64.b64encode(nonce + sealed).decode()

    def decrypt(self, key_id: str, ciphertext: str, associated: bytes) -> bytes:
        """Return the plaintext of a ciphertext from `encrypt`.

        Raises:
            KeyMissing: The key is not in the ring.
            CiphertextBroken: It was not made with this key for this owner, or it is damaged.
        """
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise KeyMissing(
                f"the key ring has no key {key_id!r}: add it to the file of `keys.file` "
                "(or to HOOKSTREAM_KEYS__RING)"
            )
        try:
            sealed = base64.b64decode(ciphertext, validate=True)
        except (binascii.Error, ValueError):
            raise CiphertextBroken(f"a ciphertext of key {key_id!r} is not base64") from None
        if len(sealed) < NONCE_BYTES + TAG_BYTES:
            raise CiphertextBroken(f"a ciphertext of key {key_id!r} is cut short")
        try:
            return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], associated)
        except InvalidTag:
            raise CiphertextBroken(
                f"a ciphertext does not belong to key {key_id!r} or to its row"
            ) from None


def read_ring(text: str | bytes, where: str, random_bytes: Callable[[int], bytes]) -> KeyRing:
    """Parse a key ring.

    Args:
        text: The JSON text.
        where: The text's name in errors: a path or a variable's name.
        random_bytes: As for `KeyRing`.

    Raises:
        ConfigurationError: The text is not a key ring; the message contains no key.
    """
    if len(text) > MAX_RING_BYTES:
        raise ConfigurationError(f"{where}: a key ring has at most {MAX_RING_BYTES} bytes")
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        # The parser's message would quote the text around the error, which may be a key.
        raise ConfigurationError(f"{where}: the key ring is not valid JSON") from None
    if not isinstance(document, dict) or set(document) != {"active", "keys"}:
        raise ConfigurationError(
            f'{where}: a key ring is {{"active": id, "keys": {{id: base64}}}} and nothing else'
        )
    active, keys = document["active"], document["keys"]
    if not isinstance(active, str) or not isinstance(keys, dict):
        raise ConfigurationError(f"{where}: `active` is an id, and `keys` an object by id")
    raw: dict[str, bytes] = {}
    for key_id, encoded in keys.items():
        try:
            raw[key_id] = base64.b64decode(encoded, validate=True)
        except (TypeError, ValueError):
            raise ConfigurationError(f"{where}: key {key_id!r} is not base64 text") from None
    try:
        return KeyRing(active, raw, random_bytes)
    except ConfigurationError as refused:
        raise ConfigurationError(f"{where}: {refused}") from None


def read_ring_file(path: Path, random_bytes: Callable[[int], bytes]) -> KeyRing:
    """Read a key ring from a file.

    Raises:
        ConfigurationError: The file cannot be read, or is not a key ring.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_RING_BYTES + 1)
    except OSError as failed:
        raise ConfigurationError(
            f"the key ring {path} cannot be read: {failed.strerror or failed}"
        ) from failed
    return read_ring(text, str(path), random_bytes)
