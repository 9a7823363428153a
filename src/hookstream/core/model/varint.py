"""Whole numbers as seven bits a byte, least significant first: Avro's audit records and commits have them."""

from collections.abc import Iterable

_LONGEST = 9
"""Bytes of the largest offset; a longer number is damaged."""


def varint(number: int) -> bytes:
    """Return a number from 0 up, each byte but the last with the eighth bit, which says that more follow."""
    out = bytearray()
    while number > 0x7F:  # noqa: PLR2004  what seven bits hold
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def varints(payload: Iterable[int]) -> list[int] | None:
    """Return the numbers, None where the last is cut off or one is longer than an offset."""
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
