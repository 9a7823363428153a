"""The greatest age of tables for matching and sending, and the clocks that measure it."""

from typing import NamedTuple

FRESH_FOR = 1.5
"""Seconds. Older tables are not current: nothing is matched or sent with them.

Workers query the end offsets every half second. A command is effective everywhere after this
time, so hookstream promises two seconds.
"""


class Moment(NamedTuple):
    """One instant on two clocks of one machine, which fail in different ways.

    A suspended machine's monotonic clock does not advance, and the wall clock may be set back. The
    clock since boot includes suspended time; the wall clock includes time in which a virtual machine
    was suspended together with its boot clock.
    """

    boot: float
    """Seconds since boot, including suspended time."""
    wall: float
    """Seconds since the epoch, by the machine's clock."""


LONG_AGO = Moment(float("-inf"), float("-inf"))
"""Earlier than every other moment."""


def age(then: Moment, now: Moment) -> float:
    """Return the seconds between two moments: the larger of the two clocks' differences."""
    boot = now[0] - then[0]
    wall = now[1] - then[1]
    return max(boot, wall)
