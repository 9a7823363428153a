"""Chooses the tier for a wait, and decides what happens when a record leaves a tier.

A tier delays by a fixed time. A wait is split into hops, each through the largest tier that is not longer
than the remaining wait (by more than `LONGEST_EXCESS`), until the remainder is short enough for the waiting
room. No hop ends early, so no wait ends early.
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
"""The longest remainder of a wait that is spent in the waiting room: the longest jitter."""


LONGEST_EXCESS: Millis = SECOND // 10
"""By how much, and by a tenth of its wait at most, a tier may be longer than the remaining wait.

A wait of exactly a tier's delay is decided a moment before it is written. Without this, that moment
would send it to the tier below, and through one hop more."""

LONGEST_COVER: Millis = 5 * MINUTE
"""A tier up to this long may cover any shorter wait; a longer one, waits of at least half its delay."""


@dataclass(slots=True, frozen=True)
class WaitUntil:
    """The record waits in the waiting room and is due at `instant`."""

    instant: Millis


@dataclass(slots=True, frozen=True)
class HopDownAt:
    """The record leaves its tier at `instant` for another one: too much of its wait remains."""

    instant: Millis


Release: TypeAlias = WaitUntil | HopDownAt


class Ladder:
    """The delays of the tiers that new records are written to, including `0s`.

    Records may be *read* from tiers that are no longer on it: `release` accepts any delay.

    Raises:
        ConfigurationError: A delay is negative, or there is no tier of 0.
    """

    __slots__ = ("delays",)

    def __init__(self, delays: Iterable[Millis] = DEFAULT_TIERS) -> None:
        self.delays = tuple(sorted(set(delays)))
        """The distinct delays, ascending."""
        if not self.delays or self.delays[0] != 0:
            raise ConfigurationError(
                "retry.tiers must include 0s, the tier of redriven and replayed records, "
                "and no negative delay"
            )

    def place(self, now: Millis, due_at: Millis) -> Millis:
        """Return the delay of the tier to write to: the largest that is not longer than the remaining wait.

        It may be longer by `LONGEST_EXCESS`. It is 0 if nothing remains, or if all other tiers are longer.
        """
        remaining = due_at - now
        if remaining <= 0:
            return 0
        excess = min(LONGEST_EXCESS, remaining // 10)
        return self.delays[bisect_right(self.delays, remaining + excess) - 1]

    def place_slot(self, now: Millis, slot: Millis) -> Millis:
        """Return the tier's delay for a delivery that waits for a slot of its lane.

        One write suffices if a tier covers the wait and is not much longer: the record is due at its
        slot, not when the tier releases it (`release_slot`), so the tier only bounds when it is read.
        Otherwise it is the largest tier that is not longer, as for any wait.
        """
        remaining = slot - now
        at = bisect_left(self.delays, remaining)
        longest = max(2 * remaining, LONGEST_COVER)
        if remaining > 0 and at < len(self.delays) and self.delays[at] <= longest:
            return self.delays[at]
        return self.place(now, slot)

    def release_slot(
        self, appended_at: Millis, delay: Millis, slot: Millis, *, now: Millis = 0
    ) -> Release:
        """Return what happens to a record that waits for a slot: due at its slot, or moved before."""
        leaves_at = max(appended_at + delay, now)
        if slot - leaves_at <= LONGEST_REST or self.place(leaves_at, slot) == 0:
            return WaitUntil(max(slot, now))
        return HopDownAt(leaves_at)

    def release(
        self, appended_at: Millis, delay: Millis, due_at: Millis | None, *, now: Millis = 0
    ) -> Release:
        """Return what happens to a record read from a tier.

        Args:
            appended_at: When the broker appended it.
            delay: The delay of its tier.
            due_at: Its final due time; None: due when the tier releases it.
            now: When it is read. A record that is read late leaves its tier now, which may save a hop.
        """
        leaves_at = max(appended_at + delay, now)
        if due_at is None or due_at <= leaves_at:
            return WaitUntil(leaves_at)
        # If only 0s could take the remainder, a hop would return at once: the waiting room keeps the record,
        # however long the remainder is. This terminates every wait, on any ladder.
        if due_at - leaves_at <= LONGEST_REST or self.place(leaves_at, due_at) == 0:
            return WaitUntil(due_at)
        return HopDownAt(leaves_at)
