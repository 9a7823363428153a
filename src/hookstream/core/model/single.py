"""A 32-bit float means the number of its shortest text, wherever it is shown or compared.

Avro's `float` is decoded into Python's 64-bit float: 0.7 becomes 0.699999988079071. The shortest
text is the one with the fewest digits that parses to the same 32 bits, and of several the nearest.
It has at most nine digits, so it fits a Python float without loss.

An array may contain 50,000 of them, and trying one text after the other took 3 to 6 µs each. So it is
found by arithmetic, and by trying texts only where that leaves a doubt. At the last decimal place at
which no two numbers read back as the same float, one that does is the shortest: a shorter one would
be the same number with zeros at its end. Where none does, the nearest at the next place does.
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
"""Products of two doubles below 10^9 are nearer to the true ones than this."""
_SURE: Final = 0.5 - _DOUBT
"""Nearer than this to a whole number, it is the nearest."""
_ROUND: Final = 1.5 * 2**52
"""Added to a double below 2^51 and taken away again, it leaves the nearest whole number."""


class _Place(NamedTuple):
    """The last decimal place at which no two numbers read back as the same float.

    So it is the same for all floats of one binary exponent: they lie equally close together.
    """

    at: int
    factor: float
    """Ten to the power of it."""
    next_factor: float
    sure: float
    """A float times the factor that is nearer than this to a whole number: it reads back."""
    unsure: float
    """Farther than this: it does not read back."""


def _place(exponent: int) -> _Place:
    half = 2.0 ** (max(exponent, _NORMAL) - 25)
    """Half of their distance: what is nearer to one of them reads back as it."""
    at = math.ceil(math.log10(0.5 / half)) - 1
    room = half * float(f"1e{at}")
    return _Place(at, float(f"1e{at}"), float(f"1e{at + 1}"), room - _DOUBT, room + _DOUBT)


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
    at, factor, next_factor, sure, unsure = _PLACES[exponent]
    scaled = size * factor
    whole = scaled + _ROUND - _ROUND
    if not -sure < whole - scaled < sure:
        if -unsure < whole - scaled < unsure:
            return math.copysign(_by_trying(size), exact)
        at, factor, scaled = at + 1, next_factor, size * next_factor
        whole = scaled + _ROUND - _ROUND
        if not -_SURE < whole - scaled < _SURE:
            return math.copysign(_by_trying(size), exact)
    found = whole / factor if 0 <= at <= _LAST_EXACT else float(f"{whole:.0f}e{-at}")
    return found if exact > 0 else -found if exact < 0 else exact


def _by_trying(size: float) -> float:
    """Return the number in the shortest text of a 32-bit float above zero, slowly."""
    if size in _LOPSIDED:
        return _LOPSIDED[size]
    for digits in range(1, _MOST_DIGITS):
        found = float(f"{size:.{digits}g}")
        if _unpack(_pack(found))[0] == size:
            return found
    return float(f"{size:.{_MOST_DIGITS}g}")


_PLACES: Final = {exponent: _place(exponent) for exponent in _EXPONENTS}
_POWERS: Final = {exponent: _by_trying(2.0 ** (exponent - 1)) for exponent in _EXPONENTS}
