"""Converts numbers, and refuses those that would not read back as the same number.

A `float` or `double` accepts a JSON number if the shortest text of the stored value equals it: a
float accepts 0.7 but not 16777217. A Python `float` is a double: a `double` stores it unchanged, a
`float` rounds it to 32 bits, as any assignment of one to the other does.
"""

import math
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Final

from hookstream.adapters.avro.fit import ALIKE, Fit, Take, Unfit, glimpse
from hookstream.adapters.exact_json import Numeral
from hookstream.core.model.single import nearest, shortest

_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,4199})(?:\.[0-9]{1,4200})?")
_BEARABLE_BITS: Final = 14_000
"""Bits of the largest whole number that Python formats as text: 4,300 digits."""
_MAX_NUMERAL: Final = 400
"""The most characters of a JSON number with a fraction or an exponent."""


def whole(bits: int, kind: str) -> Take:
    """Return the function that converts whole numbers of so many bits plus a sign."""
    limit: int = 2**bits

    def take(value: object, fit: Fit) -> object:
        del fit
        if isinstance(value, Numeral) and value.text.lstrip("-").isdigit():
            raise Unfit(f"{glimpse(value)} does not fit into {kind}")
        if type(value) is not int:
            raise Unfit(f"{glimpse(value)} is not a whole number")
        if not -limit <= value < limit:
            raise Unfit(f"{glimpse(value)} does not fit into {kind}")
        return value

    return take


def double(value: object, fit: Fit) -> object:
    """Convert a number to a 64-bit double that reads back as the same number."""
    number = _number(value, "a double")
    if isinstance(value, float):
        return number
    _same(number, value, "a double", fit)
    return number


def single(value: object, fit: Fit) -> object:
    """Convert a number to a 32-bit float that reads back the same; a Python `float` is rounded."""
    number = _number(value, "a float")
    try:
        stored, shown = nearest(number), shortest(number)
    except OverflowError:
        raise Unfit(f"{glimpse(value)} does not fit into a float") from None
    if not isinstance(value, float):
        _same(shown, value, "a float", fit)
    elif shown != value:
        fit.note(ALIKE)
    return stored


def decimal(precision: int, scale: int, size: int | None) -> Callable[[object], object]:
    """Return the function that converts decimals to the bytes of their unscaled values.

    Args:
        precision: Digits in all.
        scale: Digits after the point.
        size: The size of a fixed type in bytes; None: as few bytes as possible.
    """

    def take(value: object) -> object:
        negative, found, exponent = _exact(value).as_tuple()
        digits = "".join(map(str, found)).lstrip("0")
        bare = digits.rstrip("0")
        exponent = int(exponent) + len(digits) - len(bare)
        if bare and exponent < -scale:
            raise Unfit(f"{glimpse(value)} has more than {scale} digits after the point")
        if bare and len(bare) + exponent + scale > precision:
            raise Unfit(f"{glimpse(value)} has more than {precision} digits in all")
        unscaled = int(bare + "0" * (exponent + scale)) if bare else 0
        if negative:
            unscaled = -unscaled
        length = size if size is not None else unscaled.bit_length() // 8 + 1
        return unscaled.to_bytes(length, "big", signed=True)

    return take


def _exact(value: object) -> Decimal:
    """Return a finite decimal with all its digits."""
    match value:
        case float() | Numeral():
            raise Unfit(f"{glimpse(value)} is a binary fraction: write the decimal as text")
        case str() if not _DECIMAL.fullmatch(value):
            raise Unfit(f"{glimpse(value)} is not a decimal such as 12.50")
        case Decimal() if not value.is_finite():
            raise Unfit(f"{glimpse(value)} is not a finite decimal")
        case str() | Decimal():
            return Decimal(value)
        case int() if type(value) is int and value.bit_length() <= _BEARABLE_BITS:
            return Decimal(value)
        case _:
            size = " of bearable size" if type(value) is int else ""
            raise Unfit(f"{glimpse(value)} is not a decimal{size}")


def _number(value: object, kind: str) -> float:
    """Return the nearest double of a number."""
    match value:
        case float() if math.isfinite(value):
            return value
        case Numeral(text) if text[-1].isdigit():
            number = float(text) if len(text) <= _MAX_NUMERAL else math.inf
        case float() | Numeral():
            raise Unfit(f"{glimpse(value)} is not finite, which JSON cannot express")
        case int() if type(value) is int:
            try:
                number = float(value)
            except OverflowError:
                number = math.inf
        case _:
            raise Unfit(f"{glimpse(value)} is not a number")
    if not math.isfinite(number):
        raise Unfit(f"{glimpse(value)} does not fit into {kind}")
    return number


def _same(shown: float, value: object, kind: str, fit: Fit) -> None:
    """Refuse a number that would be delivered as another."""
    given = value.text if isinstance(value, Numeral) else value
    assert isinstance(given, str | int)  # noqa: S101  # `_number` took nothing else
    try:
        same = Decimal(repr(shown)) == Decimal(given)
    except InvalidOperation:
        # An exponent that no Decimal has.
        same = False
    if not same:
        raise Unfit(f"{glimpse(value)} would be rounded to {shown!r} in {kind}")
    if isinstance(given, int):
        fit.note(ALIKE)
