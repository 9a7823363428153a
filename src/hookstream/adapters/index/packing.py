"""Packs ids for storage: the usual forms take half of their text's bytes, all others stay text."""

import re
from typing import TypeAlias

Packed: TypeAlias = bytes | str

_DELIVERY_DIGITS = 26
_PACKED_DELIVERY = 17
"""130 bits."""

_DIGITS = "abcdefghijklmnopqrstuvwxyz234567"
_TO_INT = str.maketrans(_DIGITS, "0123456789abcdefghijklmnopqrstuv")
_PAIRS = [first + second for first in _DIGITS for second in _DIGITS]
_SHIFTS = tuple(range(120, -1, -10))
_DELIVERY = re.compile(f"msg_[{_DIGITS}]{{{_DELIVERY_DIGITS}}}")
_UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TRACE = re.compile("[0-9a-f]{32}")


def packed_delivery(delivery_id: str) -> Packed:
    """Return a delivery's id as it is stored: an id of `core.delivery.identity` takes 17 bytes."""
    if _DELIVERY.fullmatch(delivery_id) is None:
        return delivery_id
    return int(delivery_id[4:].translate(_TO_INT), 32).to_bytes(_PACKED_DELIVERY, "big")


def delivery_of(packed: Packed) -> str:
    """Return a delivery's id."""
    if isinstance(packed, str):
        return packed
    bits = int.from_bytes(packed, "big")
    return "msg_" + "".join([_PAIRS[bits >> shift & 1023] for shift in _SHIFTS])


def packed_id(text: str) -> Packed:
    """Return an event's or entity's id as it is stored: a lower-case UUID takes 16 bytes."""
    if _UUID.fullmatch(text) is None:
        return text
    return bytes.fromhex(text.replace("-", ""))


def id_of(packed: Packed) -> str:
    """Return an event's or entity's id."""
    if isinstance(packed, str):
        return packed
    text = packed.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def packed_trace(trace_id: str | None) -> bytes | str | None:
    """Return a trace's id as it is stored."""
    if trace_id is None or _TRACE.fullmatch(trace_id) is None:
        return trace_id
    return bytes.fromhex(trace_id)


def trace_of(packed: bytes | str | None) -> str | None:
    """Return a trace's id."""
    return packed.hex() if isinstance(packed, bytes) else packed
