"""A rate limiter spaces the attempts of a lane: the subscription's rate limit, and what a throttled endpoint bears.

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
_A_LITTLE_SLOWER = 1.25
"""What a throttled answer does to the spacing: after another one, and after a success."""

_NEAR = (0.8, 1.25)
"""Between these parts of the spacing that was too close, a success brings attempts closer with care."""

_CAREFUL = 0.02
_QUICK = 2.0
"""What a second of successes takes off the spacing: near the one that was too close, and elsewhere."""

_LEAST = 0.05
_MOST = 0.75
"""What one success takes off, elsewhere, at least and at most."""

_FORGOTTEN_BELOW = 0.002
"""Seconds of learnt spacing that are as good as none."""


class RateLimiter:
    """When the next attempt may be made. Spacing 0 means: at any time."""

    __slots__ = (
        "_before",
        "_borne",
        "_last",
        "_learnt",
        "_limit",
        "_next",
        "_too_close",
        "spacing",
    )

    def __init__(self) -> None:
        """Start without a limit."""
        self._limit = 0.0
        self._learnt = 0.0
        self._borne = False
        """Whether the endpoint bore the present spacing, or one near it."""
        self._too_close = 0.0
        """The spacing at which it last said that there are too many, having borne about as many."""
        self._before = self._next = float("-inf")
        """What `_next` is, and what it was before the attempt noted last."""
        self._last: int | None = None
        """The attempt noted last, unless it was given back."""
        self.spacing = 0.0
        """Seconds between attempts, evenly spaced."""

    def limit(self, rate: float | None) -> None:
        """Set this worker's share of the rate limit, in attempts a second; None: there is none."""
        self._limit = 0.0 if rate is None else 1.0 / max(rate, 1e-6)
        self._space()

    @property
    def limited(self) -> bool:
        """Whether the subscription's own limit is what spaces the attempts."""
        return self._limit >= self._learnt

    def free_at(self) -> float:
        """Return when the next attempt may be made; an instant that is past means: now."""
        return self._next - _BURST

    def took(self, attempt: int, now: float) -> None:
        """Note that an attempt was made."""
        self._last = attempt
        self._before = self._next
        self._next = max(self._next, now) + self.spacing

    def gave_back(self, attempt: int) -> None:
        """Note that an attempt was not made after all.

        What it took is given back where it was noted last. The place of one before it may be past: the
        attempts since would be let too close together.
        """
        if attempt == self._last:
            self._last = None
            self._next = self._before

    def throttled(self) -> None:
        """Space attempts farther apart: the endpoint said that there are too many.

        A little, where it bore the ones before; one that says so whatever comes is away rather than
        asked too often, and what was too close before stays known.
        """
        slower = _SLOWER
        if self._borne:
            self._borne = False
            self._too_close = self._learnt
            slower = _A_LITTLE_SLOWER
        self._learnt = min(max(self._learnt * slower, _FIRST_SLOWING), _SLOWEST)
        self._space()

    def delivered(self) -> None:
        """Space attempts closer: the endpoint bears this pace."""
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
        """Let the next attempt come one spacing after the last, whichever that was made at."""
        before = self.spacing
        self.spacing = max(self._limit, self._learnt)
        self._next += self.spacing - before
        self._before += self.spacing - before
