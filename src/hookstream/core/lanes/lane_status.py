"""What one worker's lanes do at one instant, for people."""

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
    """Attempts that are not answered."""
    limit: int
    """How many may be now: it adapts to the endpoint."""
    most: int
    """How many the subscription allows in one worker."""
    ramping: bool
    """Whether the limit still doubles with each round of answers: nothing has failed since it began at two."""
    overdue: bool
    """Whether an attempt is unanswered for so long that no other begins."""
    queued: int
    """Deliveries that wait in the lane."""
    rate: float | None
    """Attempts a second at most now; None: only the limit bounds them."""
    throttled: bool
    """Whether the endpoint's answers determine that rate, and not the subscription's own limit."""
    breaker: BreakerState
    probe_after: float
    """Seconds until its next probe may be made; 0: it may, or none is needed."""
    rests: float
    """Seconds for which it begins no attempt, as its endpoint asked; 0: it does not rest."""
    answers_in: float
    """Seconds in which the endpoint answers: the average, or more while an attempt is overdue; a guess at first."""


@dataclass(slots=True, frozen=True)
class FullLane:
    """A lane in which deliveries wait, and that may begin no attempt now though its breaker is closed."""

    subscription_id: str
    partner_id: str
    """Empty: nothing says whose it is."""
    status: LaneStatus

    @property
    def why(self) -> str:
        """What holds it up, in a few words."""
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
    """Which of a worker's lanes need a look."""

    open_breakers: tuple[tuple[str, str], ...]
    """Subscription and partner of some whose breaker is not closed, in the order of their names."""
    open_count: int
    """How many there are."""
    full: tuple[FullLane, ...]
    """Some at their limit, those in which most waits first."""
    full_count: int
    """How many there are."""
