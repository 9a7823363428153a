"""A circuit breaker pauses the lane of an endpoint that fails, and probes it with one attempt at a time.

Closed, it counts failures. It opens on consecutive failures or on a failure ratio. The open time
doubles with each failed probe. When the open time is over, the breaker is half open: one attempt
may be made, and its outcome closes or opens the breaker.
"""

from dataclasses import dataclass

FAILURES_IN_A_ROW = 5
"""Consecutive failures that open it. A timeout, which occupied a permit, counts double."""

_RATIO = 0.5
_LEAST = 20
_WINDOW = 30.0
"""It also opens if half of at least `_LEAST` attempts within `_WINDOW` seconds failed."""

FIRST_OPEN = 5.0
"""The first open time, in seconds."""

_PROBE_JITTER = 0.1
"""The share of the longest open time by which a probe may be earlier. Evenly spaced probes could
all meet the failing phase of an endpoint that fails periodically, and never see it answer."""

_GOLDEN_RATIO_STEP = 0.618
"""The step of the phase within that share from probe to probe: it has no short period."""

_STEADY = 10
"""Successes after which an endpoint counts as recovered: the next open time is short again."""

LONGEST_DEFERRAL = 1800.0
"""The longest deferral because of a breaker, in seconds."""


@dataclass(slots=True, eq=False)
class CircuitBreaker:
    """The state of one lane's breaker, over monotonic seconds. It starts closed."""

    longest: float = FIRST_OPEN
    """The longest open time, in seconds: the longest that a recovered endpoint waits for a probe."""
    counting: bool = False
    """Whether successes must be reported to it: there was a recent failure."""
    probe_at: float | None = None
    """When the next probe may be made; None if the breaker is closed."""
    _open_for: float = 0.0
    _jitter_phase: float = 0.0
    _since: float = 0.0
    _in_a_row: int = 0
    _successes: int = 0
    _failed: int = 0
    _succeeded: int = 0
    _window_ends: float = float("-inf")

    def succeeded(self, now: float) -> bool:
        """Count a success. Return True if it closed the breaker."""
        self._in_a_row = 0
        self._successes += 1
        self._succeeded += 1
        if self._successes >= _STEADY:
            self._open_for = 0.0
            self.counting = now < self._window_ends
        if self.probe_at is None:
            return False
        self.probe_at = None
        self._successes = 1
        self._begin_window(now)
        return True

    def failed(self, now: float, *, counts: int = 1) -> bool:
        """Count a failure. Return True if it opened the breaker or extended its open time."""
        self.counting = True
        self._in_a_row += counts
        self._successes = 0
        if self.probe_at is not None:
            if now < self.probe_at:
                # This attempt began before the breaker opened: it carries no new information.
                return False
            self._open(now)
            return True
        if now >= self._window_ends:
            self._begin_window(now)
        self._failed += 1
        attempts = self._failed + self._succeeded
        often = attempts >= _LEAST and self._failed >= _RATIO * attempts
        if self._in_a_row < FAILURES_IN_A_ROW and not often:
            return False
        self._since = now
        self._open(now)
        return True

    def may_probe(self, now: float) -> bool:
        """Return whether the breaker is half open."""
        return self.probe_at is not None and now >= self.probe_at

    def put_off_until(self, now: float, waited: float = 0.0) -> float:
        """Return when a delivery that has waited `waited` seconds is due: not before the next probe.

        The wait grows with the outage, so that few records are written; when the breaker closes, waiting
        deliveries are taken early. After a restart the breaker has no history: `waited` then says how
        long the outage has lasted.
        """
        probe_at = now if self.probe_at is None else max(self.probe_at, now)
        outage = max(now - self._since, waited)
        wait = max(probe_at - now, outage / 2, FIRST_OPEN)
        return now + min(wait, LONGEST_DEFERRAL)

    def _open(self, now: float) -> None:
        self._open_for = min(max(2 * self._open_for, FIRST_OPEN), self.longest)
        sooner = 0.0
        if self._open_for == self.longest:
            sooner = _PROBE_JITTER * self._jitter_phase
            self._jitter_phase = (self._jitter_phase + _GOLDEN_RATIO_STEP) % 1.0
        self.probe_at = now + self._open_for * (1 - sooner)

    def _begin_window(self, now: float) -> None:
        self._failed = self._succeeded = 0
        self._window_ends = now + _WINDOW
