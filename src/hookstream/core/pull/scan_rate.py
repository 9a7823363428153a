"""How many records of the log are read for one partner: its limit, over all its requests in this process."""

from dataclasses import dataclass
from typing import Final

BURST_SECONDS: Final = 1.0
"""How many seconds' worth of records may be read at once."""


@dataclass(slots=True)
class ScanRate:
    """What a partner has used of its limit."""

    _paid_until: float = float("-inf")
    """The instant at which what was read is what the limit allows."""

    def available(self, per_second: int, now: float) -> int:
        """Return how many records may be read now.

        Args:
            per_second: The limit, more than 0.
            now: The present, in seconds.
        """
        ahead = max(0.0, self._paid_until - now)
        # A little more than exact: a wait that is over must not be refused for a rounding error.
        return max(0, int((BURST_SECONDS - ahead) * per_second + 1e-6))

    def spend(self, records: int, per_second: int, now: float) -> None:
        """Note that records were read."""
        self._paid_until = max(self._paid_until, now) + records / per_second

    def wait(self, per_second: int, now: float) -> float:
        """Return the seconds after which at least one record may be read."""
        return max(0.0, self._paid_until - now - BURST_SECONDS + 1 / per_second)

    def is_idle(self, now: float) -> bool:
        """Return whether nothing of the limit is used, so that this object need not be kept."""
        return self._paid_until <= now
