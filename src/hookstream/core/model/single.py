"""A 32-bit float means the number of its shortest text, wherever it is shown or compared.

Avro's `float` is decoded into Python's 64-bit float: 0.7 becomes 0.699999988079071. The shortest
text is the one with the fewest digits that parses to the same 32 bits, and of several the nearest.
It has at most nine digits, so a Python float holds it without loss.

An array may hold 50,000 of them, and trying one text after another took 3 to 6 µs each. So whole
numbers of each digit count are tried by arithmetic, and texts only where that is not conclusive.
"""

import math
import struct
from typing import Final, NamedTuple

_BITS = struct.Struct("<f")
_pack, _unpack = _BITS.pack, _BITS.unpack
_ALL_WHOLE: Final = 2**24
"""Below it every whole number is a 32-bit float, and no shorter text means the same float."""
_EXPONENTS: Final = range(-148, 129)
"""The exponents that `math.frexp` returns for 32-bit floats."""
_NORMAL: Final = -125
"""The smallest exponent at which a float has its full precision."""
_MOST_DIGITS: Final = 9
_FEWEST_DIGITS: Final = 6
"""Any text with this many digits is distinct from its neighbours at full precision, so fewer
need not be tried."""
_LOPSIDED: Final = {
    2.0**-96: 1.2621775e-29,
    2.0**87: 1.5474251e26,
    2.0**90: 1.2379401e27,
}
"""The lower neighbour of a power of two is at half the distance of the upper one. So the nearest
text of a digit count may not parse back while the next one does: for these three only."""
_LAST_EXACT: Final = 22
"""Powers of ten up to this one are exact doubles, so a product or quotient is rounded once."""
_DOUBT: Final = 1e-6
"""The products of two doubles below 10^9 have a smaller error than this."""


class _Try(NamedTuple):
    """One attempt with a whole number of a given digit count: the float multiplied and rounded."""

    factor: float
    sure: float
    """Closer than this to the whole number: it parses back, and is the nearest that does."""
    unsure: float
    """Farther than this: it does not parse back."""
    place: int
    """The position of its last digit after the decimal point."""


class _Tries(NamedTuple):
    """The attempts for the floats of one binary exponent, fewest digits first."""

    ten: float
    """The power of ten among them or above them."""
    below: tuple[_Try, ...]
    from_ten: tuple[_Try, ...]


def _tries(exponent: int) -> _Tries:
    ten = math.floor((exponent - 1) * math.log10(2)) + 1
    digits = range(_FEWEST_DIGITS if exponent >= _NORMAL else 1, _MOST_DIGITS + 1)
    half = 2.0 ** (max(exponent, _NORMAL) - 25)
    """Half of their distance: anything closer to one of them parses back to it."""

    def to(place: int) -> _Try:
        room = half * (factor := float(f"1e{place}"))
        return _Try(factor, min(room, 0.5) - _DOUBT, room + _DOUBT, place)

    return _Tries(
        float(f"1e{ten}"),
        tuple(to(many - ten) for many in digits),
        tuple(to(many - 1 - ten) for many in digits),
    )


def nearest(value: float) -> float:
    """Return the 32-bit float that is nearest to a number.

    Raises:
        OverflowError: There is none: the number is finite and beyond ±3.4028235e38.
    """
    found: float = _unpack(_pack(value))[0]
    return found


def shortest(value: float) -> float:
    """Return the number in the shortest text of a 32-bit float.

    Args:
        value: A finite number; one that is not a 32-bit float is rounded to the nearest first.

    Raises:
        OverflowError: See `nearest`.
    """
    if -_ALL_WHOLE < value < _ALL_WHOLE and value == int(value):
        return value
    exact: float = _unpack(_pack(value))[0]
    size = abs(exact)
    mantissa, exponent = math.frexp(size)
    if mantissa == 0.5:  # noqa: PLR2004  a power of two
        return math.copysign(_POWERS[exponent], exact)
    ten, below, from_ten = _TRIES[exponent]
    for factor, sure, unsure, place in below if size < ten else from_ten:
        scaled = size * factor
        whole = round(scaled)
        off = abs(whole - scaled)
        if off < sure:
            found = whole / factor if 0 <= place <= _LAST_EXACT else float(f"{whole}e{-place}")
            return math.copysign(found, exact)
        if off < unsure:
            break
    return math.copysign(_by_trying(size), exact)


def _by_trying(size: float) -> float:
    """Return the number in the shortest text of a 32-bit float above zero, slowly."""
    if size in _LOPSIDED:
        return _LOPSIDED[size]
    for digits in range(1, _MOST_DIGITS):
        found = float(f"{size:.{digits}g}")
        if _unpack(_pack(found))[0] == size:
            return found
    return float(f"{size:.{_MOST_DIGITS}g}")


_TRIES: Final = {exponent: _tries(exponent) for exponent in _EXPONENTS}
_POWERS: Final = {exponent: _by_trying(2.0 ** (exponent - 1)) for exponent in _EXPONENTS}
