"""Tests whether a value, a number or a decimal in text, lies in any of several ranges.

Every number is compared by its text, a double by its shortest text (`core.model.number`): no digit
is lost on either side. A value costs one binary search among the ranges' ends, however many there
are.
"""

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, TypeAlias

from hookstream.core.model.json import Json
from hookstream.core.model.number import EXACT, Number, exact

_DECIMAL = re.compile(r"-?[0-9]{1,100}(?:\.[0-9]{1,100})?\Z")
_BEYOND: Final = 10**500
"""Above every bound of a range."""

_Cut: TypeAlias = tuple[Decimal, bool]
"""Start or end of a range: just below a number, or just above it (True)."""


@dataclass(slots=True, frozen=True)
class Bound:
    """One end of a range."""

    at: Number
    is_open: bool = False
    """True: the bound itself is excluded."""


Range: TypeAlias = tuple[Bound | None, Bound | None]
"""The lower and the upper bound; None: unbounded."""


def range_test(ranges: Sequence[Range]) -> Callable[[Json], bool]:
    """Return the test of some ranges; decimals in text are compared with all their digits."""
    cuts = _cuts(ranges)
    # Rounding keeps order, so only a number that rounds to an end needs all its digits.
    about = [*(float(str(at)) for at, _ in cuts), math.inf]

    def test(value: Json) -> bool:
        if type(value) is float:
            number = value
        elif type(value) is int:
            if not -EXACT < value < EXACT:
                return _inside(cuts, Decimal(max(-_BEYOND, min(value, _BEYOND))))
            number = float(value)
        elif type(value) is str and _DECIMAL.match(value) is not None:
            number = float(value)
        elif type(value) is Decimal:
            return _inside(cuts, value)
        else:
            return False
        place = bisect_left(about, number)
        if about[place] == number:
            return _inside(cuts, Decimal(value if type(value) is str else repr(value)))
        # Outside before the first end, inside behind it, outside behind the second.
        return place % 2 == 1

    return test


def _inside(cuts: Sequence[_Cut], value: Decimal) -> bool:
    return bisect_right(cuts, (value, False)) % 2 == 1


def _cuts(ranges: Sequence[Range]) -> list[_Cut]:
    """Return the cuts at which values alternate between inside and outside, in ascending order."""
    cuts: list[_Cut] = []
    for begin, end in sorted(map(_ends, ranges)):
        if cuts and begin <= cuts[-1]:
            cuts[-1] = max(cuts[-1], end)
        else:
            cuts += begin, end
    return cuts


def _ends(limits: Range) -> tuple[_Cut, _Cut]:
    low, high = limits
    return (
        (Decimal("-Infinity"), False) if low is None else (exact(low.at), low.is_open),
        (Decimal("Infinity"), True) if high is None else (exact(high.at), not high.is_open),
    )
