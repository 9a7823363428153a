"""A lane's limits, and the deferral of a delivery that it does not admit."""

from dataclasses import dataclass

from hookstream.core.model.delivery import DeferReason


@dataclass(slots=True, frozen=True)
class LanePolicy:
    """A lane's limits."""

    max_in_flight: int
    max_queue: int = 2_000
    """The hard bound of deliveries in the queue, whatever the rate."""
    rate_limit: float | None = None
    """Attempts a second: this worker's share of the subscription's rate limit."""
    probe_every: float = 30.0
    """The longest time between probes while the endpoint is down, in seconds."""
    weight: int = 1
    """The lane's share of contended permits, relative to other lanes."""
    batch_events: int = 1
    """The most deliveries in one attempt. Limits and rates count attempts."""
    batch_wait: float = 0.0
    """The longest time that a delivery waits for others of its batch, in seconds."""


@dataclass(slots=True, frozen=True)
class Deferral:
    """When a delivery that was not admitted is due, in monotonic seconds, and why it was deferred."""

    slot: float
    reason: DeferReason
