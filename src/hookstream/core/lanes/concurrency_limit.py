"""The in-flight limit of a lane follows what its endpoint bears: up with success, down with trouble.

It starts at two, so that an endpoint of which nothing is known can hold two attempts at most. It
doubles with each round of answers until the first trouble, then grows by one a round; trouble
halves it, a rise of the answer time takes a tenth. One round of trouble counts once.
"""

START = 2
"""Attempts at once of an endpoint that has not answered yet."""

_AFTER_TROUBLE = 0.5
_AFTER_RISE = 0.9


class ConcurrencyLimit:
    """How many attempts of one lane may be unanswered at once, from 1 up to what policy allows."""

    __slots__ = ("_calm_at", "_value", "ramping")

    def __init__(self) -> None:
        """Start at two."""
        self._value = float(START)
        self._calm_at = float("-inf")
        self.ramping = True
        """True until the first trouble: what the endpoint bears is not known yet."""

    def allowed(self, most: int) -> int:
        """Return the limit as it stands, `most` at most."""
        return min(int(self._value), most)

    def grow(self, in_flight: int, most: int) -> None:
        """Note a success that came while so many attempts, itself among them, were in flight.

        A limit that was not used tells nothing of what the endpoint would bear, and stays.
        """
        value = self._value
        if in_flight < int(value) or value >= most:
            return
        self._value = min(value + (1.0 if self.ramping else 1.0 / value), float(most))

    def shrink(self, now: float, round_: float) -> None:
        """Halve it after a timeout, a failure or a throttled attempt, once in `round_` seconds."""
        self._less(_AFTER_TROUBLE, now, round_)

    def ease(self, now: float, round_: float) -> None:
        """Take a tenth off as answers take longer, once in `round_` seconds."""
        self._less(_AFTER_RISE, now, round_)

    def restart(self) -> None:
        """Begin at two again: the endpoint was away, and what it bore before is no longer known."""
        self._value = float(START)
        self.ramping = True

    def _less(self, factor: float, now: float, round_: float) -> None:
        if now < self._calm_at:
            return
        self._calm_at = now + round_
        self._value = max(self._value * factor, 1.0)
        self.ramping = False
