"""A 32-bit float is the number that its shortest text says, wherever it is shown or compared.

Avro's `float` is decoded into a Python float of 64 bits: 0.7 comes as 0.699999988079071. Its
shortest text is the one with the fewest digits that reads back as the same 32 bits; of several
the nearest. It has at most nine digits, so a Python float holds it without loss.

An array may hold 50,000 of them, and trying one text after the other took 3 to 6 µs each. So whole
numbers of so many digits are tried by arithmetic, and texts only where that leaves a doubt.
"""

import math
import struct
from typing import Final, NamedTuple

_BITS = struct.Struct("<f")
_pack, _unpack = _BITS.pack, _BITS.unpack
_ALL_WHOLE: Final = 2**24
"""Below it every whole number is a 32-bit float, and no shorter text means the same one."""
_EXPONENTS: Final = range(-148, 129)
"""Those that `math.frexp` gives for 32-bit floats."""
_NORMAL: Final = -125
"""The least of them for which a float has all its bits."""
_MOST_DIGITS: Final = 9
_FEWEST_DIGITS: Final = 6
"""Any text of so many digits reads back as a float with all its bits, so fewer need not be tried."""
_LOPSIDED: Final = {
    2.0**-96: 1.2621775e-29,
    2.0**87: 1.5474251e26,
    2.0**90: 1.2379401e27,
}
"""A power of two has its lower neighbour at half the distance of its upper one. So the nearest text
of so many digits may not read back while the next one does: with these three, and no other."""
_LAST_EXACT: Final = 22
"""Powers of ten up to this one are doubles, so a product or quotient with one is rounded once."""
_DOUBT: Final = 1e-6
"""Products of two doubles below 10^9 are nearer to the true ones than this."""


class _Try(NamedTuple):
    """A whole number of so many digits is tried: a float multiplied and rounded."""

    factor: float
    sure: float
    """Nearer than this to the whole number: it reads back, and is the nearest that does."""
    unsure: float
    """Farther than this: it does not read back."""
    place: int
    """The place of its last digit after the point."""


class _Tries(NamedTuple):
    """What is tried for the floats of one binary exponent, fewest digits first."""

    ten: float
    """The power of ten among them or above them."""
    below: tuple[_Try, ...]
    from_ten: tuple[_Try, ...]


def _tries(exponent: int) -> _Tries:
    ten = math.floor((exponent - 1) * math.log10(2)) + 1
    digits = range(_FEWEST_DIGITS if exponent >= _NORMAL else 1, _MOST_DIGITS + 1)
    half = 2.0 ** (max(exponent, _NORMAL) - 25)
    """Half of their distance: what is nearer to one of them reads back as it."""

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
    """Return the number that the shortest text of a 32-bit float says.

    Args:
        value: A finite number; one that is no 32-bit float stands for the nearest that is.

    Raises:
        OverflowError: As `nearest` does.
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
    """Return what the shortest text of a 32-bit float above zero says, slowly."""
    if size in _LOPSIDED:
        return _LOPSIDED[size]
    for digits in range(1, _MOST_DIGITS):
        found = float(f"{size:.{digits}g}")
        if _unpack(_pack(found))[0] == size:
            return found
    return float(f"{size:.{_MOST_DIGITS}g}")


_TRIES: Final = {exponent: _tries(exponent) for exponent in _EXPONENTS}
_POWERS: Final = {exponent: _by_trying(2.0 ** (exponent - 1)) for exponent in _EXPONENTS}
