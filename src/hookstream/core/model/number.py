"""Numbers keep the value of their text: they are parsed, compared and written exactly.

A double has 17 digits. A long id or a precise price would change in one, and a filter or grant
would match what its author excluded. So a number is an int if it is whole and fits 64 bits, a
float if it is the shortest text of a double, and otherwise a Decimal. A double represents its
shortest text (0.1 is one tenth), never its binary value.
"""

import math
import re
from decimal import Context, Decimal, InvalidOperation
from typing import Final, TypeAlias

Number: TypeAlias = int | float | Decimal

MAX_DIGITS: Final = 100
"""The most significant digits that are accepted."""
MAX_EXPONENT: Final = 400
"""The largest absolute decimal exponent that is accepted."""

_TEXT = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_LONGEST_TEXT = 1_000
"""The longest text that is parsed, in characters: nobody writes ten thousand zeros and a one."""
_WHOLE = re.compile(r"[-+]?[0-9]+")
_INT64 = 1 << 63
EXACT: Final = 1 << 53
"""Below it, every whole double equals the number in its text."""

_WIDE = Context(prec=2 * MAX_EXPONENT + MAX_DIGITS, Emin=-2 * MAX_EXPONENT, Emax=2 * MAX_EXPONENT)
"""Wide enough that no accepted number is rounded."""


class NotANumber(ValueError):
    """Raised for a text or value that is not an acceptable number; the message is the reason."""


def read_number(text: str) -> Number:
    """Parse a number in JSON or YAML notation, exactly.

    Raises:
        NotANumber: It is not a number, has more than 100 digits, or an exponent beyond ±400.
    """
    if len(text) > _LONGEST_TEXT or _TEXT.fullmatch(text) is None:
        raise NotANumber("is not a number")
    # Decimal(text) is exact, and its cost is the text's length, whatever the exponent.
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
    """Return the double whose shortest text is this number, or the number itself if there is none."""
    double = float(value)
    return double if math.isfinite(double) and Decimal(repr(double)) == value else value


def whole_as_int(value: Number) -> Number:
    """Return a whole double within the range of a long as the int of its text.

    From 2^53 on, a double's binary value and its shortest text differ, and earlier releases compare a
    long with the binary value. An int means the same to all of them.
    """
    if not isinstance(value, float) or not EXACT <= abs(value) <= _INT64:
        return value
    whole = int(exact(value))
    return whole if -_INT64 <= whole < _INT64 else Decimal(whole)


def checked(value: object) -> Number:
    """Validate that a value is a finite number within the bounds of this module.

    Raises:
        NotANumber: It is not a number, is infinite or NaN, has too many digits, or is too large.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise NotANumber("is not a number")
    if isinstance(value, float):
        if not math.isfinite(value):
            raise NotANumber("is not finite")
        return value
    if isinstance(value, int):
        # Do not convert to text first: for a huge int that raises or takes minutes.
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
    """Return a number as the Decimal of its text; for a double, of its shortest text."""
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


Key: TypeAlias = int | float | tuple[int, tuple[int, ...], int]


def key_of_number(value: Number) -> Key:
    """Return a hash key for a number: equal numbers have equal keys, different ones do not.

    Whole numbers and doubles below 2^53 are their own keys, at no cost. A number that is not a
    double has a separate kind of key, because Python compares a Decimal with a double's binary value.
    """
    if isinstance(value, int) or (isinstance(value, float) and -EXACT < value < EXACT):
        return value
    if isinstance(value, float):
        # The text of every double this large is a whole number.
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


def number_text(value: Number) -> str:
    """Return a number in JSON notation. Parsing it yields the same number."""
    if isinstance(value, float):
        return repr(value)
    return str(value).replace("E", "e")
