"""How many requests a caller may make: GCRA, whose only state is when the next one is due at even spacing."""

import math
from dataclasses import dataclass
from typing import NamedTuple

BURST_SECONDS = 10.0
"""How many seconds' worth of requests may come at once."""


class RateState(NamedTuple):
    """What is left of a rate after a request."""

    limit: int
    """Requests in a window of `BURST_SECONDS`."""
    remaining: int
    """How many more may come at once."""
    reset: int
    """Seconds, rounded up, until all of them may come at once again."""
    retry_after: int | None
    """Seconds, rounded up, after which the request may be repeated; None: it was allowed."""


@dataclass(slots=True, eq=False)
class RequestRate:
    """The rate of one caller; a refused request takes nothing."""

    _due: float = float("-inf")
    """When the next request is due at even spacing."""

    def take(self, per_second: float, now: float) -> RateState:
        """Take a request.

        Args:
            per_second: How many requests a second are allowed, more than 0.
            now: The present, in seconds.
        """
        spacing = 1.0 / per_second
        limit = max(1, round(per_second * BURST_SECONDS))
        window = limit * spacing
        due = max(self._due, now)
        allowed = due - now + spacing <= window + 1e-9
        if allowed:
            due += spacing
            self._due = due
        ahead = due - now
        remaining = max(0, int((window - ahead) / spacing + 1e-9))
        wait = None if allowed else max(1, math.ceil(ahead + spacing - window))
        return RateState(limit, remaining, math.ceil(ahead - 1e-9), wait)

    def is_idle(self, now: float) -> bool:
        """Return whether nothing of the rate is used, so that this object need not be kept."""
        return self._due <= now
