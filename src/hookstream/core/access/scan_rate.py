"""How many records of the log are read for a partner: what was read is paid for before more is read."""

from dataclasses import dataclass

BURST_SECONDS = 1.0
"""How many seconds' worth of records may be read at once without a pause."""
LONGEST_DEBT = 60.0
"""Seconds for which one request makes the next one wait at most, however much it read."""


@dataclass(slots=True, eq=False)
class ScanRate:
    """The rate of one partner. How much a request reads is known only afterwards, so it may owe something."""

    _paid_at: float = float("-inf")
    """When all that was read is paid for."""

    def note(self, records: int, per_second: float, now: float) -> float:
        """Note records that were read; return for how many seconds nothing more should be read.

        Args:
            records: How many.
            per_second: How many are allowed in a second, more than 0.
            now: The present, in seconds, monotonic.
        """
        owed = max(self._paid_at, now) + records / per_second
        self._paid_at = min(owed, now + BURST_SECONDS + LONGEST_DEBT)
        return self.wait(now)

    def wait(self, now: float) -> float:
        """Return for how many seconds nothing more should be read; 0: it may be."""
        return max(0.0, self._paid_at - BURST_SECONDS - now)

    def is_idle(self, now: float) -> bool:
        """Return whether everything is paid for, so that this object need not be kept."""
        return self._paid_at <= now
