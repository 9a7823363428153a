"""The intervals of time by which due times of waiting deliveries are counted, from the present on."""

from typing import Final, NamedTuple

from hookstream.core.model.instant import HOUR, MINUTE, Millis

MOST_INTERVALS: Final = 73
"""How many intervals there are at most."""

MOST_HOURS: Final = 72
"""How many hours ahead due times are counted one by one."""

_WIDTHS: Final = (MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 30 * MINUTE, HOUR)


class DueIntervals(NamedTuple):
    """Intervals of one width that begin at multiples of it; the first one begins with this minute."""

    since: Millis
    """The start of this minute: what was due before is overdue."""
    until: Millis
    """The end of the last interval, a multiple of `width`."""
    width: Millis

    def start_of(self, due: Millis) -> Millis:
        """Return the start of the interval of a due time that is neither overdue nor later than all."""
        return max(self.since, due - due % self.width)

    def end_of(self, start: Millis) -> Millis:
        """Return the end of the interval that begins at an instant."""
        return start - start % self.width + self.width

    def starts(self) -> list[Millis]:
        """Return the start of each interval."""
        first = self.since - self.since % self.width
        return [max(self.since, at) for at in range(first, self.until, self.width)]


def due_intervals(hours: int, now: Millis) -> DueIntervals:
    """Return the intervals of the next hours, at most `MOST_INTERVALS`.

    Args:
        hours: How many, 1 to `MOST_HOURS`.
        now: The present.
    """
    since = now - now % MINUTE
    end = since + hours * HOUR
    width = next(each for each in _WIDTHS if (end - since + each - 1) // each < MOST_INTERVALS)
    return DueIntervals(since, -(-end // width) * width, width)
