"""Reservations assign due times to deferred deliveries, so that no two are due at once.

In memory is only one instant, the end of all reservations. The slots themselves are in the tier
records. A worker that has just started or got partitions assigned learns the end from the records
that it reads; until then it reserves from now on.
"""

from dataclasses import dataclass

_SLACK = 1.05
"""Slots are spaced slightly wider than the lane could serve, so that late deliveries and those
reserved by another worker fit in between."""

LONGEST_CATCH_UP = 30.0
"""Seconds by which a missed slot may slip before a new one is reserved at the end."""


@dataclass(slots=True, eq=False)
class Reservations:
    """The reservations of one lane, over monotonic seconds."""

    _end: float = float("-inf")
    _late: float = float("-inf")

    def book(self, now: float, spacing: float, longest: float) -> float:
        """Reserve the next free slot, at most `longest` seconds from now."""
        slot = max(self._end, now) + spacing * _SLACK
        self._end = slot = min(slot, now + longest)
        return slot

    def again(self, now: float, spacing: float, longest: float) -> float:
        """Return another slot for a delivery that missed its own: soon, if possible."""
        slot = max(self._late, now) + spacing * _SLACK
        if slot - now > LONGEST_CATCH_UP:
            return self.book(now, spacing, longest)
        self._late = slot
        return slot

    def seen(self, slot: float) -> None:
        """Take into account a slot read from a tier record."""
        self._end = max(self._end, slot)
