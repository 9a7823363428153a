"""Seals the cursors of the pull door with the key ring: nobody else can read or change one, or use another's."""

import base64
import binascii
from functools import lru_cache
from typing import Final

from hookstream.adapters.keyring import CiphertextBroken, KeyMissing, KeyRing

_MOST_TEXT: Final = 6_000
"""Characters of a cursor at most: see `core.pull.cursor`."""
_SUBSCRIPTIONS: Final = 1_024
"""The most subscriptions whose keys are cached; deriving them again takes some ten microseconds."""
_ANOTHER: Final = (
    "the cursor is not one of this subscription, or it was changed: give it as it was returned, or begin without"
    " one"
)


class SealedCursors:
    """The `CursorSeal` of a key ring."""

    def __init__(self, ring: KeyRing) -> None:
        """Seal with the active key; open what any of its keys sealed.

        Each subscription has its own keys, derived from the ring's: a reader that never pauses gets many
        thousands of cursors an hour, each with a random nonce, and one key allows 2**32 of them.
        """
        self._ring_of = lru_cache(_SUBSCRIPTIONS)(
            lambda subscription_id: ring.derived(_belonging(subscription_id))
        )

    def seal(self, subscription_id: str, payload: bytes) -> str:
        """As CursorSeal says: text that needs no escaping in a URL."""
        key_id, sealed = self._ring_of(subscription_id).encrypt(
            payload, _belonging(subscription_id)
        )
        whole = key_id.encode() + b"\0" + base64.b64decode(sealed)
        return base64.urlsafe_b64encode(whole).rstrip(b"=").decode()

    def open(self, subscription_id: str, text: str) -> bytes | str:
        """As CursorSeal says."""
        if len(text) > _MOST_TEXT or not text.isascii():
            return _ANOTHER
        try:
            whole = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return _ANOTHER
        key_id, nul, sealed = whole.partition(b"\0")
        if not nul:
            return _ANOTHER
        try:
            return self._ring_of(subscription_id).decrypt(
                key_id.decode(), base64.b64encode(sealed).decode(), _belonging(subscription_id)
            )
        except KeyMissing:
            return "the cursor was sealed with a key that is not used any more: begin without one"
        except (CiphertextBroken, UnicodeDecodeError):
            return _ANOTHER


def _belonging(subscription_id: str) -> bytes:
    """Return the purpose of its keys and its associated data: a cursor opens for this subscription only."""
    return f"pull-cursor\0{subscription_id}".encode()
