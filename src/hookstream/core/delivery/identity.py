"""A delivery's id depends on its event and its subscription only, so it never changes.

It is `msg_` and the lower-case base32 of the first 130 bits of SHA-256 over
`v1 NUL type NUL event id NUL subscription id`. Event types and subscription ids cannot contain a
NUL, so no two triples have the same bytes, whatever an event id contains.
A batch's id depends on the ids of its members and their order only: it is `msgb_` and the same digits
over `v1 NUL` and the members' ids, with a NUL between any two.
"""

import hashlib
from collections.abc import Iterable

_PREFIX = "msg_"
_BATCH_PREFIX = "msgb_"
_HASHED_BYTES = 17
"""The bytes that contain the first 130 bits, and six more."""
_SURPLUS_BITS = 6

_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
"""Base32 two digits at a time: half the cost of `base64.b32encode`, once for each delivery."""
_SHIFTS = tuple(range(120, -1, -10))


def _digits(digest: bytes) -> str:
    """Return the base32 digits of a hash's first 130 bits."""
    bits = int.from_bytes(digest[:_HASHED_BYTES], "big") >> _SURPLUS_BITS
    return "".join([_PAIRS[bits >> shift & 1023] for shift in _SHIFTS])


class DeliveryIds:
    """The delivery ids of one event. The prefix that its subscriptions share is hashed once."""

    __slots__ = ("_shared",)

    def __init__(self, event_type: str, event_id: str) -> None:
        self._shared = hashlib.sha256(f"v1\0{event_type}\0{event_id}\0".encode())

    def of(self, subscription_id: str) -> str:
        """Return the id of the event's delivery to a subscription; it is also the `webhook-id`."""
        hashed = self._shared.copy()
        hashed.update(subscription_id.encode())
        return _PREFIX + _digits(hashed.digest())


def delivery_id(event_type: str, event_id: str, subscription_id: str) -> str:
    """Return the id of one delivery, which never changes; it is also the `webhook-id`."""
    return DeliveryIds(event_type, event_id).of(subscription_id)


def is_batch_id(webhook_id: str) -> bool:
    """Return whether a `webhook-id` is that of a batch."""
    return webhook_id.startswith(_BATCH_PREFIX)


def batch_id(delivery_ids: Iterable[str]) -> str:
    """Return the id of the batch that has these deliveries in this order; it is also the `webhook-id`."""
    hashed = hashlib.sha256(("v1\0" + "\0".join(delivery_ids)).encode())
    return _BATCH_PREFIX + _digits(hashed.digest())
