"""A breaker stops a lane whose endpoint does not answer, and asks with one probe at a time whether it does again.

Closed, it counts. It opens on failures in a row or on a ratio of failures, for a time that doubles
with each failed probe. When that time is over it is half open: one attempt may be made, and what
comes of it closes or opens it again.
"""

FAILURES_IN_A_ROW = 5
"""Failures without a success in between that open it; a timeout, which held a slot, counts double."""

_RATIO = 0.5
_LEAST = 20
_WINDOW = 30.0
"""It opens as well where half of at least so many attempts failed within so many seconds."""

FIRST_OPEN = 5.0
"""Seconds for which it stays open at first."""

_SOONER = 0.1
"""The share of the longest time by which a probe may come sooner. Probes at equal distances would all
meet an endpoint that fails in the same rhythm, and never see that it answers in between."""

_GOLDEN = 0.618
"""What the place within that share moves by from probe to probe: it is no part of any short rhythm."""

_STEADY = 10
"""Successes after which an endpoint counts as recovered: the next trouble begins with a short wait."""

LONGEST_DEFERRAL = 1800.0
"""Seconds that a delivery is put off at most because of a breaker."""


class CircuitBreaker:
    """The state of one lane's breaker, over monotonic seconds."""

    __slots__ = (
        "_failed",
        "_in_a_row",
        "_open_for",
        "_place",
        "_since",
        "_succeeded",
        "_successes",
        "_window_ends",
        "counting",
        "longest",
        "probe_at",
    )

    def __init__(self) -> None:
        """Start closed."""
        self.longest = FIRST_OPEN
        """Seconds for which it stays open at most: what an endpoint that came back may wait."""
        self.counting = False
        """Whether it wants to hear of successes: there was a failure not long ago."""
        self.probe_at: float | None = None
        """When the next probe may be made; None: closed."""
        self._open_for = 0.0
        self._place = 0.0
        self._since = 0.0
        self._in_a_row = 0
        self._successes = 0
        self._failed = 0
        self._succeeded = 0
        self._window_ends = float("-inf")

    def succeeded(self, now: float) -> bool:
        """Note that the endpoint answered as it should. True: the breaker closed with it."""
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
        """Note a failure. True: the breaker opened with it, or stays open for longer."""
        self.counting = True
        self._in_a_row += counts
        self._successes = 0
        if self.probe_at is not None:
            if now < self.probe_at:
                # An attempt that was under way when it opened: it tells nothing new.
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
        """Return whether it is half open, where it is not closed."""
        return self.probe_at is not None and now >= self.probe_at

    def put_off_until(self, now: float, waited: float = 0.0) -> float:
        """Return until when a delivery is put off that has `waited` for it: not before the next probe.

        The longer the outage, the longer the wait, so that it costs few writes; whoever waits is
        taken early as soon as the breaker closes. A breaker that has just begun to count, after a
        restart, knows from the delivery how long it has lasted.
        """
        probe_at = now if self.probe_at is None else max(self.probe_at, now)
        outage = max(now - self._since, waited)
        wait = max(probe_at - now, outage / 2, FIRST_OPEN)
        return now + min(wait, LONGEST_DEFERRAL)

    def _open(self, now: float) -> None:
        self._open_for = min(max(2 * self._open_for, FIRST_OPEN), self.longest)
        sooner = 0.0
        if self._open_for == self.longest:
            sooner = _SOONER * self._place
            self._place = (self._place + _GOLDEN) % 1.0
        self.probe_at = now + self._open_for * (1 - sooner)

    def _begin_window(self, now: float) -> None:
        self._failed = self._succeeded = 0
        self._window_ends = now + _WINDOW
