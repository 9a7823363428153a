"""Tells whether a number lies in a range, be it written as a number or as a decimal in text."""

import re
from collections.abc import Callable
from decimal import Decimal

from hookstream.core.model.json import Json

_DECIMAL = re.compile(r"-?[0-9]{1,100}(?:\.[0-9]{1,100})?\Z")


def range_test(
    low: float, high: float, *, low_open: bool, high_open: bool
) -> Callable[[Json], bool]:
    """Return the test of a range; text in the form of a decimal is compared with all its digits.

    Args:
        low: Lower bound; minus infinity where there is none.
        high: Upper bound; infinity where there is none.
        low_open: The lower bound itself is outside.
        high_open: The upper bound itself is outside.
    """
    exactly = _exactly(low, high, low_open=low_open, high_open=high_open)
    bottom, top = float(low), float(high)

    def test(value: Json) -> bool:
        if type(value) is int or type(value) is float:
            return (value > low if low_open else value >= low) and (
                value < high if high_open else value <= high
            )
        if type(value) is not str or _DECIMAL.match(value) is None:
            return False
        about = float(value)
        # Rounding keeps order, so only a number that rounds to a bound needs all its digits.
        if bottom < about < top:
            return True
        return bottom <= about <= top and exactly(Decimal(value))

    return test


def _exactly(
    low: float, high: float, *, low_open: bool, high_open: bool
) -> Callable[[Decimal], bool]:
    # What a person wrote as 0.1 means a tenth, not the nearest double.
    least, most = Decimal(repr(low)), Decimal(repr(high))

    def test(value: Decimal) -> bool:
        return (value > least if low_open else value >= least) and (
            value < most if high_open else value <= most
        )

    return test
