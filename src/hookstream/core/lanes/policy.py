"""What a lane may do at most, and what it says of a delivery that it does not take."""

from dataclasses import dataclass

from hookstream.core.model.delivery import DeferReason


@dataclass(slots=True, frozen=True)
class LanePolicy:
    """What a lane may do at most."""

    max_in_flight: int
    max_queue: int = 2_000
    """Deliveries held in the queue, whatever the rate: the hard bound."""
    rate_limit: float | None = None
    """Attempts a second: this worker's share of the subscription's rate limit."""
    probe_every: float = 30.0
    """Seconds between attempts, at most, while the endpoint is down."""
    weight: int = 1
    """Of the slots that lanes wait for, its part compared with theirs."""


@dataclass(slots=True, frozen=True)
class Deferral:
    """When a delivery that is not admitted comes back, in monotonic seconds, and why it must."""

    slot: float
    reason: DeferReason
