"""What one worker's lane of a subscription does at one instant, for people."""

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
