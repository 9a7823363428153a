"""How fast a worker releases what goes behind everything else, such as a replay: it takes what others leave.

Few are released at once, so that whatever comes meanwhile, in any lane, waits for no more than those.
Then none is released for twice as long as the turn of the event loop took, with them and all else in it:
beside other work they take a third of its time at most.
"""

from dataclasses import dataclass
from typing import Final

AT_ONCE: Final = 2
"""How many are released at once."""

LEFT_TO_OTHERS: Final = 2.0
"""Seconds in which none is released, for each second of the turn before."""

LONGEST: Final = 0.5
"""Seconds of that at most."""


@dataclass(slots=True, eq=False)
class Background:
    """When the next ones may be released, over monotonic seconds. The first may be at once."""

    next_at: float = float("-inf")

    def room(self, now: float) -> int:
        """Return how many may be released now."""
        return AT_ONCE if now >= self.next_at else 0

    def released(self, now: float, turn: float) -> float:
        """Record that some were released in a turn of the event loop that is over now.

        Args:
            now: The present.
            turn: How long that turn took, in seconds.

        Returns:
            For how long none is released, in seconds.
        """
        left = min(LEFT_TO_OTHERS * max(turn, 0.0), LONGEST)
        self.next_at = now + left
        return left
