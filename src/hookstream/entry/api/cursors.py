"""Cursors of lists: opaque, encrypted, and bound to the list and the caller that they were made for.

A cursor of another partner, list or filters cannot be decrypted, so it reveals nothing and is refused like any
text that is not a cursor.
"""

import base64
import binascii
import hashlib
from typing import Protocol

import msgspec

from hookstream.core.access.scopes import Caller
from hookstream.core.model.json import JsonObject
from hookstream.entry.api.fields import ApiInput
from hookstream.entry.api.problems import ProblemKind, RequestRefused
from hookstream.errors import ConfigurationError

LONGEST_CURSOR = 7_500
"""Characters."""


class CursorKeys(Protocol):
    """Encrypts cursors: the key ring."""

    def encrypt(self, plaintext: bytes, associated: bytes) -> tuple[str, str]:
        """Return the key's id and the ciphertext."""

    def decrypt(self, key_id: str, ciphertext: str, associated: bytes) -> bytes:
        """Return the plaintext.

        Raises:
            ConfigurationError: It was not made with this key for this purpose.
        """


def cursor_text(keys: CursorKeys, position: JsonObject, purpose: bytes) -> str:
    """Return the cursor of a position.

    Args:
        keys: Encrypt it.
        position: Where the list continues: small, plain values.
        purpose: As `cursor_purpose` returns it.
    """
    key_id, sealed = keys.encrypt(msgspec.json.encode(position), purpose)
    raw = len(key_id.encode()).to_bytes(1) + key_id.encode() + base64.b64decode(sealed)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def read_cursor(keys: CursorKeys, text: str, purpose: bytes) -> JsonObject:
    """Return the position of a cursor.

    Raises:
        RequestRefused: It is not a cursor of this list, for this caller and these filters.
    """
    try:
        given = text[:LONGEST_CURSOR].encode("ascii")
        raw = base64.urlsafe_b64decode(given + b"=" * (-len(given) % 4))
        size = raw[0]
        key_id, sealed = raw[1 : 1 + size].decode(), raw[1 + size :]
        plain = keys.decrypt(key_id, base64.b64encode(sealed).decode(), purpose)
        found = msgspec.json.decode(plain)
    except (ValueError, IndexError, binascii.Error, ConfigurationError):
        raise RequestRefused(
            ProblemKind.INVALID_CURSOR,
            "it is not a cursor that this list gave for this token and these filters",
            field="cursor",
            remedy="start again without a cursor",
        ) from None
    return found if isinstance(found, dict) else {}


def purpose_of(route: str, caller: Caller, query: ApiInput) -> bytes:
    """Return what the cursors of a list are bound to: the list, its partner and its filters."""
    filters = msgspec.to_builtins(query)
    for name in ("cursor", "limit"):
        filters.pop(name, None)
    bound = msgspec.json.encode([route, caller.partner_id, filters], order="sorted")
    return b"cursor/" + hashlib.sha256(bound).digest()
