"""A number keeps the value of its text: read exactly, compared exactly, written as it was read.

A double holds 17 digits, so a long id or a fine price that passes through one becomes another
number, and a filter or a grant holds of what its writer excluded. Here a number is an int where it
is whole and fits 64 bits, a float where the double's shortest text is that number, else a Decimal.
A double stands for its shortest text (0.1 means a tenth), never for its binary value.
"""

import math
import re
from decimal import Context, Decimal, InvalidOperation
from typing import Final, TypeAlias

Number: TypeAlias = int | float | Decimal

MAX_DIGITS: Final = 100
"""Significant digits of a number that is taken."""
MAX_EXPONENT: Final = 400
"""The decimal exponent lies within plus and minus this."""

_TEXT = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_LONGEST_TEXT = 1_000
"""Characters that are looked at: 10,000 zeros and a one are no number that a person wrote."""
_WHOLE = re.compile(r"[-+]?[0-9]+")
_INT64 = 1 << 63
EXACT: Final = 1 << 53
"""Below it, every whole double is the whole number of its text."""

_WIDE = Context(prec=2 * MAX_EXPONENT + MAX_DIGITS, Emin=-2 * MAX_EXPONENT, Emax=2 * MAX_EXPONENT)
"""Rounds no number that is taken."""


class NotANumber(ValueError):
    """Raised where a text or a value is no number that is taken; the message is the reason."""


def read_number(text: str) -> Number:
    """Return the number that a text in JSON's or YAML's notation stands for, exactly.

    Raises:
        NotANumber: It is none, has more than 100 digits, or an exponent beyond ±400.
    """
    if len(text) > _LONGEST_TEXT or _TEXT.fullmatch(text) is None:
        raise NotANumber("is no number")
    # A Decimal of a text is exact and costs its length, whatever the exponent.
    try:
        value = Decimal(text)
    except InvalidOperation:  # the exponent has more digits than a machine word
        raise NotANumber(f"has an exponent beyond ±{MAX_EXPONENT}") from None
    _check_size(value)
    if _WHOLE.fullmatch(text):
        whole = int(text)
        return whole if -_INT64 <= whole < _INT64 else value
    return as_float(value)


def as_float(value: Decimal) -> float | Decimal:
    """Return the double whose shortest text is this number, or the number where there is none."""
    double = float(value)
    return double if math.isfinite(double) and Decimal(repr(double)) == value else value


def whole_as_int(value: Number) -> Number:
    """Return a double in the range of a long that may not be its text's number as that number.

    From 2^53 on a double's binary value and its shortest text differ, and releases before compare a
    long with the former. An int means the same to all of them.
    """
    if not isinstance(value, float) or not EXACT <= abs(value) <= _INT64:
        return value
    whole = int(exact(value))
    return whole if -_INT64 <= whole < _INT64 else Decimal(whole)


def checked(value: object) -> Number:
    """Return a value that is a finite number within the bounds of this module.

    Raises:
        NotANumber: It is another value, an infinity or no number, too long, or too large.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise NotANumber("is no number")
    if isinstance(value, float):
        if not math.isfinite(value):
            raise NotANumber("is not finite")
        return value
    if isinstance(value, int):
        # Its text is not asked for: that of a huge one raises or takes minutes.
        if value.bit_length() > MAX_DIGITS * 4:
            raise NotANumber(f"has more than {MAX_DIGITS} digits")
        value = Decimal(value)
        _check_size(value)
        return int(value)
    _check_size(value)
    return value


def _check_size(value: Decimal) -> None:
    if not value.is_finite():
        raise NotANumber("is not finite")
    digits = value.as_tuple().digits
    if len(digits) > MAX_DIGITS and len(bytes(digits).strip(b"\x00")) > MAX_DIGITS:
        raise NotANumber(f"has more than {MAX_DIGITS} digits")
    if value and not -MAX_EXPONENT <= value.adjusted() <= MAX_EXPONENT:
        raise NotANumber(f"has an exponent beyond ±{MAX_EXPONENT}")


def exact(value: Number) -> Decimal:
    """Return a number as the Decimal of its text: a double by its shortest one."""
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


Key: TypeAlias = int | float | tuple[int, tuple[int, ...], int]


def key_of_number(value: Number) -> Key:
    """Return what stands for a number in a set: equal numbers have equal keys, and others differ.

    Costs nothing for a whole number and for a double below 2^53: they are their own keys. A number
    that no double stands for is kept apart from them, as Python compares a Decimal with a double's
    binary value.
    """
    if isinstance(value, int) or (isinstance(value, float) and -EXACT < value < EXACT):
        return value
    if isinstance(value, float):
        # So large, every double's text says a whole number.
        return int(Decimal(repr(value))) if math.isfinite(value) else value
    decimal = value
    if decimal == decimal.to_integral_value(context=_WIDE):
        return int(decimal)
    double = as_float(decimal)
    if isinstance(double, float):
        return double
    sign, digits, exponent = decimal.as_tuple()
    kept = bytes(digits).rstrip(b"\x00")
    return sign, tuple(kept), int(exponent) + len(digits) - len(kept)


def floor_of(value: Number) -> int:
    """Return the largest whole number that is not above a number."""
    return math.floor(exact(value)) if isinstance(value, float | Decimal) else value


def ceiling_of(value: Number) -> int:
    """Return the smallest whole number that is not below a number."""
    return math.ceil(exact(value)) if isinstance(value, float | Decimal) else value


def number_text(value: Number) -> str:
    """Return a number's text in JSON's notation; reading it gives the number again."""
    if isinstance(value, float):
        return repr(value)
    return str(value).replace("E", "e")
