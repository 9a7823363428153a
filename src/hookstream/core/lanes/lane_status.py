"""A snapshot of one worker's lanes, for operators."""

from dataclasses import dataclass
from enum import StrEnum


class BreakerState(StrEnum):
    """Whether a lane's circuit breaker lets attempts through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    """The next attempt is a probe."""


@dataclass(slots=True, frozen=True)
class LaneStatus:
    """A lane at one instant; it changes with the next answer."""

    in_flight: int
    """Unanswered attempts."""
    limit: int
    """The present concurrency limit, which adapts to the endpoint."""
    most: int
    """The most that the subscription allows in one worker."""
    ramping: bool
    """Whether the limit still doubles with each round of answers: nothing has failed since it began at two."""
    overdue: bool
    """Whether an attempt has been unanswered for so long that no other begins."""
    queued: int
    """Deliveries that wait in the lane."""
    rate: float | None
    """The present limit of attempts a second; None: only the concurrency limit bounds them."""
    throttled: bool
    """Whether the endpoint's answers determine that rate, not the subscription's own limit."""
    breaker: BreakerState
    probe_after: float
    """Seconds until its next probe may be made; 0: it may be made now, or none is needed."""
    rests: float
    """Seconds for which it begins no attempt, as its endpoint requested; 0: it does not rest."""
    answers_in: float
    """Seconds in which the endpoint answers: the average, or more while an attempt is overdue; a guess at first."""


@dataclass(slots=True, frozen=True)
class FullLane:
    """A lane with waiting deliveries that may begin no attempt now although its breaker is closed."""

    subscription_id: str
    partner_id: str
    """Empty: not known."""
    status: LaneStatus

    @property
    def why(self) -> str:
        """Why it may begin none, in a few words."""
        it = self.status
        if it.rests > 0:
            return "rests, as its endpoint asked"
        if it.overdue:
            return "an attempt is overdue"
        if it.in_flight >= it.limit:
            return f"{it.in_flight:,} of {it.limit:,} in flight"
        if it.rate is not None:
            return f"{it.rate:.3g}/s{', as its endpoint answers' if it.throttled else ' at most'}"
        return "it may begin none now"


@dataclass(slots=True, frozen=True)
class LanesStatus:
    """The lanes of a worker that operators should look at."""

    open_breakers: tuple[tuple[str, str], ...]
    """Subscription and partner of lanes whose breaker is not closed, by name; not all of them."""
    open_count: int
    """How many there are in all."""
    full: tuple[FullLane, ...]
    """Lanes at their limit, those with the longest queue first; not all of them."""
    full_count: int
    """How many there are in all."""
