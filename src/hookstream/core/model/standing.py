"""How a subscription stands at an instant: what its row, its partner and its health say together."""

from dataclasses import dataclass
from typing import TypeAlias

from hookstream.core.model.hold import Hold
from hookstream.core.model.instant import Millis
from hookstream.core.model.subscription import (
    Disabled,
    Partner,
    Subscription,
    UnreadableSubscription,
)


@dataclass(slots=True, frozen=True)
class Live:
    """Its deliveries may be attempted, where the grant allows it."""

    subscription: Subscription
    partner: Partner | None
    """None: the partner's row is not in the table, so nothing is granted."""


@dataclass(slots=True, frozen=True)
class Held:
    """It would be live, and an operator stopped its endpoint, its partner, the type or everything."""

    subscription: Subscription
    partner: Partner | None
    hold: Hold


@dataclass(slots=True, frozen=True)
class Paused:
    """Its owner wants no attempts for now."""

    subscription: Subscription
    partner: Partner | None
    since: Millis
    """Start of the open gap; `active_from` where no gap says it."""


@dataclass(slots=True, frozen=True)
class DisabledStanding:
    """A worker gave its endpoint up; only an owner enables it again."""

    subscription: Subscription
    partner: Partner | None
    disabled: Disabled


@dataclass(slots=True, frozen=True)
class Deleted:
    """Its owner deleted it: what is pending is cancelled."""

    subscription_id: str
    partner_id: str


@dataclass(slots=True, frozen=True)
class Unreadable:
    """Its envelope can be read and its body cannot: its deliveries wait."""

    unreadable: UnreadableSubscription


@dataclass(slots=True, frozen=True)
class Absent:
    """The table does not hold it (yet). This never means that it was deleted."""


Standing: TypeAlias = Live | Held | Paused | DisabledStanding | Deleted | Unreadable | Absent
