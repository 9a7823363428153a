"""How old the tables may be that an act towards the outside rests on, and how an age is counted."""

from typing import NamedTuple

FRESH_FOR = 1.5
"""Seconds. Tables that are older are not current: nothing is matched or sent by them.

They are asked for their ends every half second. A command holds everywhere once this has passed,
so hookstream promises two seconds for it.
"""


class Moment(NamedTuple):
    """One instant on two clocks of one machine, which fail in different ways.

    A machine that is suspended stops its monotonic clock, and a wall clock may be set back. The
    clock since boot counts suspended time, and the wall clock counts time in which a virtual
    machine was stopped together with its boot clock.
    """

    boot: float
    """Seconds since boot, suspended time included."""
    wall: float
    """Seconds since the epoch, as the machine has them."""


LONG_AGO = Moment(float("-inf"), float("-inf"))
"""Before every other moment."""


def age(then: Moment, now: Moment) -> float:
    """Return the seconds from one moment to another: the larger of what the two clocks say."""
    boot = now[0] - then[0]
    wall = now[1] - then[1]
    return max(boot, wall)
