"""Tells whether a number lies in a range, be it written as a number or as a decimal in text.

Every number is compared as the number of its text, a double by its shortest one
(`core.model.number`): no digit is lost on either side.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from hookstream.core.model.json import Json
from hookstream.core.model.number import Number, ceiling_of, exact, floor_of

_DECIMAL = re.compile(r"-?[0-9]{1,100}(?:\.[0-9]{1,100})?\Z")


@dataclass(slots=True, frozen=True)
class Bound:
    """One end of a range."""

    at: Number
    is_open: bool = False
    """True: the bound itself is outside."""


def range_test(low: Bound | None, high: Bound | None) -> Callable[[Json], bool]:
    """Return the test of a range; text in the form of a decimal is compared with all its digits.

    Args:
        low: The lower bound; None where there is none.
        high: The upper bound; None where there is none.
    """
    exactly = _exactly(low, high)
    bottom = float("-inf") if low is None else _nearest(low.at)
    top = float("inf") if high is None else _nearest(high.at)
    least, most = _least(low), _most(high)

    def test(value: Json) -> bool:
        if type(value) is int:
            return (least is None or value >= least) and (most is None or value <= most)
        if type(value) is float:
            about = value
        elif type(value) is str and _DECIMAL.match(value) is not None:
            about = float(value)
        elif type(value) is Decimal:
            return exactly(value)
        else:
            return False
        # Rounding keeps order, so only a number that rounds to a bound needs all its digits.
        if bottom < about < top:
            return True
        return bottom <= about <= top and exactly(
            Decimal(value if type(value) is str else repr(value))
        )

    return test


def _nearest(value: Number) -> float:
    """Return the double that is nearest, infinity where it is beyond all of them."""
    return float(str(value))


def _least(low: Bound | None) -> int | None:
    if low is None:
        return None
    return floor_of(low.at) + 1 if low.is_open else ceiling_of(low.at)


def _most(high: Bound | None) -> int | None:
    if high is None:
        return None
    return ceiling_of(high.at) - 1 if high.is_open else floor_of(high.at)


def _exactly(low: Bound | None, high: Bound | None) -> Callable[[Decimal], bool]:
    least = None if low is None else exact(low.at)
    most = None if high is None else exact(high.at)
    low_open, high_open = low is not None and low.is_open, high is not None and high.is_open

    def test(value: Decimal) -> bool:
        if least is not None and (value <= least if low_open else value < least):
            return False
        return most is None or (value < most if high_open else value <= most)

    return test
