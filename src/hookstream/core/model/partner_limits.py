"""The limits of what a partner may use without an operator; operators set them, and are not bound by them."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from hookstream.core.model.instant import SECOND, Millis


@dataclass(slots=True, frozen=True)
class PartnerLimits:
    """The limits of one partner. They bind what the partner asks for over HTTP, and never a delivery."""

    subscriptions: int = 20
    """The most that it may have."""
    max_in_flight: int = 640
    """The largest sum of `max_in_flight` of all its subscriptions: of each worker."""
    weight: int = 1
    """The largest weight of each."""
    timeout: Millis = 30 * SECOND
    """The longest timeout of each."""
    running_jobs: int = 1
    """The most replays and redrives of its subscriptions that it may have running."""
    replayed_events_a_day: int = 1_000_000
    """The most events of 24 hours that it may have replayed."""
    requests_a_second: int = 20
    """The most requests to the API, by all its tokens together."""
    scanned_records_a_second: int = 20_000
    """The most records of the log that are read for its requests."""


DEFAULT_PARTNER_LIMITS: Final = PartnerLimits()
"""Of a partner whose row has none."""


class LimitBounds(NamedTuple):
    """What one limit may be, both included."""

    least: int
    most: int


PARTNER_LIMIT_BOUNDS: Final[dict[str, LimitBounds]] = {
    "subscriptions": LimitBounds(0, 10_000),
    "max_in_flight": LimitBounds(1, 1_000_000),
    "weight": LimitBounds(1, 100),
    "timeout": LimitBounds(SECOND, 60 * SECOND),
    "running_jobs": LimitBounds(0, 100),
    "replayed_events_a_day": LimitBounds(0, 1_000_000_000),
    "requests_a_second": LimitBounds(1, 10_000),
    "scanned_records_a_second": LimitBounds(1, 1_000_000),
}
"""By limit. A time is in milliseconds."""
