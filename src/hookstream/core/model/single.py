"""A 32-bit float is the number that its shortest text says, wherever it is shown or compared.

Avro's `float` is decoded into a Python float of 64 bits: 0.7 comes as 0.699999988079071. Its
shortest text is the one with the fewest digits that reads back as the same 32 bits; of several
the nearest. It has at most nine digits, so a Python float holds it without loss.
"""

import math
import struct
from typing import Final

_BITS = struct.Struct("<f")
_pack, _unpack = _BITS.pack, _BITS.unpack
_ALL_WHOLE: Final = 2**24
"""Below it every whole number is a 32-bit float, and no shorter text means the same one."""
_SMALLEST_NORMAL: Final = 2.0**-126
_TEXTS: Final = ("%.6g", "%.7g", "%.8g", "%.9g")
"""Any text of six digits reads back, so fewer need not be tried."""
_TINY_TEXTS: Final = tuple(f"%.{digits}g" for digits in range(1, 10))
_LOPSIDED: Final = {
    2.0**-96: 1.2621775e-29,
    2.0**87: 1.5474251e26,
    2.0**90: 1.2379401e27,
}
"""A power of two has its lower neighbour at half the distance of its upper one. So the nearest text
of so many digits may not read back while the next one does: with these three, and no other."""


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
    if size in _LOPSIDED:
        return math.copysign(_LOPSIDED[size], exact)
    for text in _TEXTS if size >= _SMALLEST_NORMAL else _TINY_TEXTS:
        found = float(text % exact)
        if _unpack(_pack(found))[0] == exact:
            return found
    return exact
