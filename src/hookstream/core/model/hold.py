"""A hold: an operator keeps back attempts of one endpoint, one partner, one event type, or everything."""

from dataclasses import dataclass
from enum import StrEnum

from hookstream.core.model.instant import Millis

ALL = "all"
"""The name of a hold on everything."""


class HoldKind(StrEnum):
    """What a hold concerns."""

    ENDPOINT = "endpoint"
    """The name is the id of the subscription that the endpoint belongs to."""
    PARTNER = "partner"
    EVENT_TYPE = "event-type"
    EVERYTHING = "everything"


@dataclass(slots=True, frozen=True)
class Hold:
    """The deliveries concerned wait, without ageing, until the hold is cleared."""

    kind: HoldKind
    name: str
    since: Millis
    reason: str
    set_by: str = ""
    revision: int = 1
