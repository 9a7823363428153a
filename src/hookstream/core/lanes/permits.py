"""The process-wide cap of concurrent attempts; half of it is reserved for attempts that end soon.

The reserved half is for first attempts of lanes that answered within a second lately. All other attempts
(unknown lanes, lanes with unanswered attempts, retries) share the common half, so that endpoints that
hang and the retries of an outage never use up the whole cap.
"""

from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class LanePermits:
    """The permits of one lane."""

    prompt: bool = False
    """Whether the lane answers within a second."""
    reserved: int = 0
    """Attempts in flight that used a reserved permit: first attempts of a prompt lane."""


class Permits:
    """The process-wide cap of attempts in flight."""

    __slots__ = ("_common", "_most", "free")

    def __init__(self, most: int) -> None:
        """Allow `most` concurrent attempts."""
        self._most = most - most // 2
        self._common = 0
        self.free = most

    def may_take(self, *, reserved: bool) -> bool:
        """Return whether another attempt may begin. `reserved`: a first attempt of a prompt lane."""
        return self.free > 0 and (reserved or self._common < self._most)

    def take(self, lane: LanePermits, *, reserved: bool) -> bool:
        """Acquire a permit for an attempt. Return False if there is none."""
        if self.free <= 0:
            return False
        if reserved:
            lane.reserved += 1
        elif self._common < self._most:
            self._common += 1
        else:
            return False
        self.free -= 1
        return True

    def give(self, lane: LanePermits, *, reserved: bool) -> None:
        """Release a permit that was acquired with the same `reserved`."""
        self.free += 1
        if reserved:
            lane.reserved -= 1
        if not (reserved and lane.prompt):
            self._common -= 1

    def proved(self, lane: LanePermits) -> None:
        """Record that a lane answered promptly."""
        if not lane.prompt:
            lane.prompt = True
            self._common -= lane.reserved

    def slowed(self, lane: LanePermits) -> None:
        """Record that a lane does not answer: its permits count as common from now on."""
        if lane.prompt:
            lane.prompt = False
            self._common += lane.reserved
