"""The ladder decides to which tier a wait goes, and what becomes of a record that leaves one.

A tier delays by a fixed time. A wait is broken into hops: down through the largest tier that is
not longer than what remains, until the rest is short enough for the waiting room. No hop ends
early, so the whole wait never does.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from hookstream.core.model.instant import HOUR, MINUTE, SECOND, Millis
from hookstream.errors import ConfigurationError

DEFAULT_TIERS: tuple[Millis, ...] = (
    0,
    5 * SECOND,
    30 * SECOND,
    MINUTE,
    5 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    6 * HOUR,
    12 * HOUR,
    24 * HOUR,
)

LONGEST_REST: Millis = 30 * SECOND
"""What may remain after a tier and still wait in the room: as long as jitter can be."""


LONGEST_COVER: Millis = 5 * MINUTE
"""A tier up to here may cover the wait for any slot, a longer one a wait of at least its half."""


@dataclass(slots=True, frozen=True)
class WaitUntil:
    """The record waits in the room; it is due at `instant`."""

    instant: Millis


@dataclass(slots=True, frozen=True)
class HopDownAt:
    """The record leaves its tier at `instant` and goes into another: too much of its wait remains."""

    instant: Millis


Release: TypeAlias = WaitUntil | HopDownAt


class Ladder:
    """The delays to which new records are written, `0s` among them.

    What is *read* may come from tiers that are on it no longer: `release` takes any delay.

    Raises:
        ConfigurationError: A delay is negative, or there is no tier of 0.
    """

    __slots__ = ("_delays",)

    def __init__(self, delays: Iterable[Millis] = DEFAULT_TIERS) -> None:
        self._delays = tuple(sorted(set(delays)))
        if not self._delays or self._delays[0] != 0:
            raise ConfigurationError(
                "retry.tiers must hold 0s, the tier through which everything comes back in, "
                "and no negative delay"
            )

    @property
    def delays(self) -> tuple[Millis, ...]:
        """The delays, each once, in ascending order."""
        return self._delays

    @property
    def longest(self) -> Millis:
        """The longest delay."""
        return self._delays[-1]

    def place(self, now: Millis, due_at: Millis) -> Millis:
        """Return the delay of the tier to write to: the largest that is not longer than what remains.

        It is 0 where less remains than the smallest other tier takes, and where nothing does.
        """
        remaining = due_at - now
        if remaining <= 0:
            return 0
        return self._delays[bisect_right(self._delays, remaining) - 1]

    def place_slot(self, now: Millis, slot: Millis) -> Millis:
        """Return the delay of the tier for a delivery that waits for a slot of its lane.

        One write, where a tier covers the wait and is not far longer: the record is due at its
        slot, not when the tier lets it go (`release_slot`), so the tier only says how long it
        may take to be read. Else the largest that is not longer, as for any wait.
        """
        remaining = slot - now
        at = bisect_left(self._delays, remaining)
        longest = max(2 * remaining, LONGEST_COVER)
        if remaining > 0 and at < len(self._delays) and self._delays[at] <= longest:
            return self._delays[at]
        return self.place(now, slot)

    def release_slot(
        self, appended_at: Millis, delay: Millis, slot: Millis, *, now: Millis = 0
    ) -> Release:
        """Return what becomes of a record that waits for a slot: due at it, or moved on before."""
        leaves_at = max(appended_at + delay, now)
        if slot - leaves_at <= LONGEST_REST or self.place(leaves_at, slot) == 0:
            return WaitUntil(max(slot, now))
        return HopDownAt(leaves_at)

    def release(
        self, appended_at: Millis, delay: Millis, due_at: Millis | None, *, now: Millis = 0
    ) -> Release:
        """Return what becomes of a record read from a tier.

        Args:
            appended_at: When the broker appended it.
            delay: The delay of the tier that it was read from.
            due_at: Its final due time; None: when the tier releases it.
            now: When it is read; one that is read late leaves its tier now, which may save a hop.
        """
        leaves_at = max(appended_at + delay, now)
        if due_at is None or due_at <= leaves_at:
            return WaitUntil(leaves_at)
        # Where only 0s would take the rest, a hop would come straight back: the room keeps it,
        # however long that is. This is what makes every wait end, on any ladder.
        if due_at - leaves_at <= LONGEST_REST or self.place(leaves_at, due_at) == 0:
            return WaitUntil(due_at)
        return HopDownAt(leaves_at)
