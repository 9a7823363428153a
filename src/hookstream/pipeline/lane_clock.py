"""The clock of the lanes: time in which nothing can be sent is not charged to endpoints."""

from collections.abc import Callable, Iterable

from hookstream.core.lanes.lane import Lane
from hookstream.pipeline.ports import Clock, Permitted

_CATCHING_UP = 2.0
"""After a wait for the tables, for this many times its length, a backlog does not mean a slow endpoint."""
_LONGEST_CATCHING_UP = 120.0
"""Seconds."""

_FROZEN_AFTER = 1.0
"""Seconds without a tick (there are four a second) after which the process counts as frozen: it was suspended,
or got no CPU."""


class LaneClock:
    """Monotonic seconds, and the start of the present pause in sending."""

    def __init__(
        self, clock: Clock, may_act: Permitted, lanes: Callable[[], Iterable[Lane]]
    ) -> None:
        """Exclude from the times of all `lanes` the time in which `may_act` returns False."""
        self._clock = clock
        self._may_act = may_act
        self._lanes = lanes
        self._shut_since: float | None = None
        """Since when no attempt may begin, monotonic seconds."""
        self._catching_up = float("-inf")
        """Until when the backlog of a pause is worked off, monotonic seconds."""
        self._ran_at = clock.monotonic()
        """When the last tick ran, monotonic seconds."""

    def present(self) -> float:
        """Return the monotonic time; a freeze since the last call is not charged to endpoints."""
        now = self._clock.monotonic()
        frozen = now - self._ran_at
        if frozen > _FROZEN_AFTER:
            self._ran_at = now
            self._catch_up(now, frozen)
            for lane in self._lanes():
                lane.froze(frozen, now)
        return now

    def ticked(self) -> float:
        """Return the monotonic time at a tick."""
        self._ran_at = now = self.present()
        return now

    def catching_up(self, now: float) -> bool:
        """Return whether lanes have a backlog after a pause in sending."""
        if self._shut_since is not None:
            # The gate may have opened since the last tick.
            self.shut(now)
        return now < self._catching_up

    def shut(self, now: float) -> bool:
        """Return whether sending is paused; lanes do not charge that time to their endpoints."""
        if not self._may_act():
            if self._shut_since is None:
                self._shut_since = now
            return True
        if self._shut_since is not None:
            seconds = now - self._shut_since
            self._shut_since = None
            self._catching_up = now
            self._catch_up(now, seconds)
            for lane in self._lanes():
                lane.waited(seconds, now)
        return False

    def _catch_up(self, now: float, seconds: float) -> None:
        until = now + min(_CATCHING_UP * seconds, _LONGEST_CATCHING_UP)
        self._catching_up = max(self._catching_up, until)
