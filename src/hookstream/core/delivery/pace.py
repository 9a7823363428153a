"""A pace spaces the attempts of a lane: the subscription's rate limit, and what a throttled endpoint bears.

It is GCRA: one instant, when the next attempt is due at an even spacing, says everything. Up to a
tenth of a second's worth may come at once, and one attempt always may.
"""

_BURST = 0.1
"""Seconds by which attempts may run ahead of an even spacing."""

_FIRST_SLOWING = 0.02
"""Seconds between attempts after the first throttled answer, where nothing slower was known."""

_SLOWEST = 10.0
"""Seconds between attempts of an endpoint that throttles whatever comes."""

_SLOWER = 2.0
_FASTER = 0.95
_MUCH_FASTER = 0.5
"""What a success does to the spacing: near the one that was too close, and far from it."""

_FORGOTTEN_BELOW = 0.002
"""Seconds of learnt spacing that are as good as none."""


class Pace:
    """When the next attempt may be made. Spacing 0 means: at any time."""

    __slots__ = ("_borne", "_learnt", "_limit", "_next", "_too_close", "spacing")

    def __init__(self) -> None:
        """Start without a limit."""
        self._limit = 0.0
        self._learnt = 0.0
        self._borne = False
        """Whether the endpoint bore the present spacing, or one near it."""
        self._too_close = 0.0
        """The spacing at which it last said that there are too many, having borne about as many."""
        self._next = float("-inf")
        self.spacing = 0.0
        """Seconds between attempts, evenly spaced."""

    def limit(self, rate: float | None) -> None:
        """Set this worker's share of the rate limit, in attempts a second; None: there is none."""
        before = self.spacing
        self._limit = 0.0 if rate is None else 1.0 / max(rate, 1e-6)
        self.spacing = max(self._limit, self._learnt)
        # The next attempt comes one spacing after the last, whichever spacing that was made at.
        self._next += self.spacing - before

    @property
    def limited(self) -> bool:
        """Whether the subscription's own limit is what spaces the attempts."""
        return self._limit >= self._learnt

    def free_at(self) -> float:
        """Return when the next attempt may be made; an instant that is past means: now."""
        return self._next - _BURST

    def took(self, now: float) -> None:
        """Note that an attempt was made."""
        self._next = max(self._next, now) + self.spacing

    def gave_back(self) -> None:
        """Note that the attempt noted last was not made after all."""
        self._next -= self.spacing

    def throttled(self) -> None:
        """Space attempts twice as far: the endpoint said that there are too many.

        One that says so whatever comes is away rather than asked too often, and what it bore before
        stays known.
        """
        if self._borne:
            self._borne = False
            self._too_close = self._learnt
        self._learnt = min(max(self._learnt * _SLOWER, _FIRST_SLOWING), _SLOWEST)
        self.spacing = max(self._limit, self._learnt)

    def delivered(self) -> None:
        """Space attempts closer: the endpoint bears this pace."""
        self._borne = True
        far = self._learnt > 2 * _SLOWER * max(self._too_close, _FIRST_SLOWING)
        learnt = self._learnt * (_MUCH_FASTER if far else _FASTER)
        self._learnt = learnt if learnt >= _FORGOTTEN_BELOW else 0.0
        self.spacing = max(self._limit, self._learnt)
