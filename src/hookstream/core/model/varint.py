"""Varints: seven bits a byte, least significant first. Audit records and commit metadata use them."""

from collections.abc import Iterable

_LONGEST = 9
"""Bytes of the largest offset. A longer number is corrupt."""


def varint(number: int) -> bytes:
    """Encode a number from 0 up. Every byte but the last has the high bit set: more bytes follow."""
    out = bytearray()
    while number > 0x7F:  # noqa: PLR2004  the largest number of seven bits
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def varints(payload: Iterable[int]) -> list[int] | None:
    """Decode numbers; None if the last is truncated or one is larger than an offset."""
    numbers = []
    number = shift = 0
    for byte in payload:
        if shift >= 7 * _LONGEST:
            return None
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:  # noqa: PLR2004  the last byte of a number
            numbers.append(number)
            number = shift = 0
    return None if shift else numbers
