"""Spaces the attempts of a lane, by the rate limit and by the rate that a throttling endpoint accepts.

It is GCRA: its only state is when the next attempt is due at even spacing. A burst may take up to
a tenth of a second's worth of attempts, and at least one.
"""

from dataclasses import dataclass

_BURST = 0.1
"""Seconds by which attempts may run ahead of even spacing."""

_FIRST_SLOWING = 0.02
"""Seconds between attempts after the first throttled answer, if no longer spacing is known."""

_SLOWEST = 10.0
"""Seconds between attempts to an endpoint that throttles at every rate."""

_SLOWER = 2.0
_A_LITTLE_SLOWER = 1.25
"""The factor on the spacing of a throttled answer: after another one, and after a success."""

_NEAR = (0.8, 1.25)
"""Within this range around the spacing that was throttled, a success reduces spacing slowly."""

_CAREFUL = 0.02
_QUICK = 2.0
"""The reduction per second of successes: near the spacing that was throttled, and elsewhere."""

_LEAST = 0.05
_MOST = 0.75
"""The smallest and largest reduction by one success, outside that range."""

_FORGOTTEN_BELOW = 0.002
"""Seconds of learnt spacing that count as none."""


@dataclass(slots=True, eq=False)
class RateLimiter:
    """When the next attempt may be made: at any time if the spacing is 0."""

    spacing: float = 0.0
    """Seconds between attempts at even spacing."""
    _limit: float = 0.0
    _learnt: float = 0.0
    _borne: bool = False
    """Whether the endpoint accepted the present spacing, or one near it."""
    _too_close: float = 0.0
    """The spacing at which the endpoint last throttled after it had accepted a similar one."""
    _next: float = float("-inf")
    """When the next attempt is due."""
    _before: float = float("-inf")
    """When it was due before the last recorded attempt."""
    _last: int | None = None
    """The last recorded attempt, unless it was undone."""

    def limit(self, rate: float | None) -> None:
        """Set this worker's share of the rate limit, in attempts a second; None for no limit."""
        self._limit = 0.0 if rate is None else 1.0 / max(rate, 1e-6)
        self._space()

    @property
    def limited(self) -> bool:
        """Whether the subscription's own limit determines the spacing."""
        return self._limit >= self._learnt

    def free_at(self) -> float:
        """Return when the next attempt may be made. A past instant means now."""
        return self._next - _BURST

    def took(self, attempt: int, now: float) -> None:
        """Record that an attempt was made."""
        self._last = attempt
        self._before = self._next
        self._next = max(self._next, now) + self.spacing

    def gave_back(self, attempt: int) -> None:
        """Undo a recorded attempt that was not made.

        Only the last recorded attempt is undone. The due time of an earlier one may be past, and the
        attempts since would come too close together.
        """
        if attempt == self._last:
            self._last = None
            self._next = self._before

    def throttled(self) -> None:
        """Increase the spacing: the endpoint asked for fewer attempts.

        By a little if it accepted the previous ones. An endpoint that throttles at every rate is unavailable
        rather than overloaded, and the spacing that was throttled before is kept.
        """
        slower = _SLOWER
        if self._borne:
            self._borne = False
            self._too_close = self._learnt
            slower = _A_LITTLE_SLOWER
        self._learnt = min(max(self._learnt * slower, _FIRST_SLOWING), _SLOWEST)
        self._space()

    def delivered(self) -> None:
        """Reduce the spacing: the endpoint accepts the present rate."""
        self._borne = True
        if self._learnt == 0.0:
            return
        closest, farthest = (part * self._too_close for part in _NEAR)
        spacing = self._learnt
        if closest <= spacing <= farthest:
            learnt = spacing * (1 - min(_CAREFUL * spacing, _MOST))
        else:
            learnt = spacing * (1 - min(max(_QUICK * spacing, _LEAST), _MOST))
            if spacing > farthest:
                learnt = max(learnt, farthest)
        self._learnt = learnt if learnt >= _FORGOTTEN_BELOW else 0.0
        self._space()

    def _space(self) -> None:
        """Move the next due time to one spacing after the last attempt."""
        before = self.spacing
        self.spacing = max(self._limit, self._learnt)
        self._next += self.spacing - before
        self._before += self.spacing - before
