"""Limits how fast a worker releases background records (a replay's), to a third of the event loop's time at most.

Few are released at once, so that other work that comes meanwhile, in any lane, waits only for those. Then none
is released for twice as long as that iteration of the event loop took, including all other work in it.
"""

from dataclasses import dataclass
from typing import Final

AT_ONCE: Final = 2
"""How many are released at once."""

LEFT_TO_OTHERS: Final = 2.0
"""Seconds without a release for each second of the iteration before."""

LONGEST: Final = 0.5
"""The longest time without a release, in seconds."""


@dataclass(slots=True, eq=False)
class Background:
    """When the next records may be released, over monotonic seconds. The first ones may be at once."""

    next_at: float = float("-inf")

    def room(self, now: float) -> int:
        """Return how many may be released now."""
        return AT_ONCE if now >= self.next_at else 0

    def released(self, now: float, took: float) -> float:
        """Record that some were released in an iteration of the event loop that is over now.

        Args:
            now: The present.
            took: How long that iteration took, in seconds.

        Returns:
            For how long none is released, in seconds.
        """
        left = min(LEFT_TO_OTHERS * max(took, 0.0), LONGEST)
        self.next_at = now + left
        return left
