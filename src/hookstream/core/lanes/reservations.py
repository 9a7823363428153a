"""Slots hand out the instants at which deferred deliveries come back, so that no two come at once.

What is handed out is remembered here as one instant only, the end of all bookings. The slots
themselves stand in the tier records; a worker that has just started, or took partitions over,
learns the end again from the records that it reads, and until then books from now on.
"""

_SLACK = 1.05
"""Bookings are spaced a little further apart than the lane could serve: what came late, or was
booked by another worker, fits in between."""

LONGEST_CATCH_UP = 30.0
"""Seconds by which a slot that could not be kept may slip before a new one is booked."""


class Reservations:
    """The bookings of one lane, over monotonic seconds."""

    __slots__ = ("_end", "_late")

    def __init__(self) -> None:
        """Start without a booking."""
        self._end = float("-inf")
        self._late = float("-inf")

    def book(self, now: float, spacing: float, longest: float) -> float:
        """Return the next free slot, no later than `longest` seconds from now."""
        slot = max(self._end, now) + spacing * _SLACK
        self._end = slot = min(slot, now + longest)
        return slot

    def again(self, now: float, spacing: float, longest: float) -> float:
        """Return a slot for what came at its own and was not served: soon, where that can be."""
        slot = max(self._late, now) + spacing * _SLACK
        if slot - now > LONGEST_CATCH_UP:
            return self.book(now, spacing, longest)
        self._late = slot
        return slot

    def seen(self, slot: float) -> None:
        """Learn of a slot that stands in a tier record."""
        self._end = max(self._end, slot)
