"""The concurrency limit of a lane adapts to its endpoint: it grows with success and shrinks with failures.

It starts at two, so that an unknown endpoint occupies at most two attempts. It doubles with each
round of answers until the first failure, then grows by one a round. A failure halves it; rising
latency reduces it by a tenth. It shrinks at most once a round.
"""

from dataclasses import dataclass

START = 2
"""Concurrent attempts to an endpoint that has not answered yet."""

_AFTER_TROUBLE = 0.5
_AFTER_RISE = 0.9


@dataclass(slots=True, eq=False)
class ConcurrencyLimit:
    """How many attempts of one lane may be in flight, from 1 up to the policy's maximum."""

    ramping: bool = True
    """True until the first failure: the endpoint's capacity is not known yet."""
    _value: float = float(START)
    _calm_at: float = float("-inf")

    def allowed(self, most: int) -> int:
        """Return the current limit, at most `most`."""
        return min(int(self._value), most)

    def grow(self, in_flight: int, most: int) -> None:
        """Count a success; `in_flight` is the number of attempts then in flight, including this one.

        A limit that is not used says nothing about the endpoint's capacity and does not grow.
        """
        value = self._value
        if in_flight < int(value) or value >= most:
            return
        self._value = min(value + (1.0 if self.ramping else 1.0 / value), float(most))

    def shrink(self, now: float, round_: float) -> None:
        """Halve the limit after a timeout, a failure or a throttled attempt, once in `round_` seconds."""
        self._less(_AFTER_TROUBLE, now, round_)

    def ease(self, now: float, round_: float) -> None:
        """Reduce the limit by a tenth because latency rises, once in `round_` seconds."""
        self._less(_AFTER_RISE, now, round_)

    def restart(self) -> None:
        """Start at two again: after an outage the endpoint's former capacity may have changed."""
        self._value = float(START)
        self.ramping = True

    def _less(self, factor: float, now: float, round_: float) -> None:
        if now < self._calm_at:
            return
        self._calm_at = now + round_
        self._value = max(self._value * factor, 1.0)
        self.ramping = False
