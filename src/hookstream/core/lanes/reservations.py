"""Assigns due times to deferred deliveries, so that no two are due at once.

Only one instant is in memory, the end of all reservations. The slots themselves are in the tier records. A
worker that has just started or got partitions assigned learns the end from the records that it reads; until
then it reserves from the present on.
"""

from dataclasses import dataclass

_SLACK = 1.05
"""Slots are spaced slightly wider than the lane can serve, so that late deliveries and those reserved by
another worker fit in between."""

LONGEST_CATCH_UP = 30.0
"""Seconds by which a missed slot may slip before a new one is reserved at the end."""


@dataclass(slots=True, eq=False)
class Reservations:
    """The reservations of one lane, over monotonic seconds."""

    end: float = float("-inf")
    """The last slot that was reserved."""
    late: float = float("-inf")
    """The last slot that replaced a missed one."""

    before: "Reservations | None" = None
    """The reservations of deliveries that go first: slots here come after all of theirs, and push none back."""

    def book(self, now: float, spacing: float, longest: float) -> float:
        """Reserve the next free slot, at most `longest` seconds from now."""
        end = self.end if self.before is None else max(self.end, self.before.end)
        slot = max(end, now) + spacing * _SLACK
        self.end = slot = min(slot, now + longest)
        return slot

    def again(self, now: float, spacing: float, longest: float) -> float:
        """Return another slot for a delivery that missed its own: soon, if possible."""
        late = self.late if self.before is None else max(self.late, self.before.late)
        slot = max(late, now) + spacing * _SLACK
        if slot - now > LONGEST_CATCH_UP:
            return self.book(now, spacing, longest)
        self.late = slot
        return slot

    def seen(self, slot: float) -> None:
        """Take into account a slot read from a tier record."""
        self.end = max(self.end, slot)
