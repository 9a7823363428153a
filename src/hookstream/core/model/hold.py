"""A hold: an operator's stop on one endpoint, one partner, one event type, or everything."""

from dataclasses import dataclass
from enum import StrEnum

from hookstream.core.model.instant import Millis

ALL = "all"
"""The name under which a hold on everything stands."""


class HoldKind(StrEnum):
    """What a hold stops."""

    ENDPOINT = "endpoint"
    """Named by the id of the subscription whose endpoint it is."""
    PARTNER = "partner"
    EVENT_TYPE = "event-type"
    EVERYTHING = "everything"


@dataclass(slots=True, frozen=True)
class Hold:
    """Deliveries that it stops wait, without ageing, until it is cleared."""

    kind: HoldKind
    name: str
    since: Millis
    reason: str
    set_by: str = ""
    revision: int = 1
