"""A subscription's status at an instant, derived from its row, its partner and its health."""

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
    """Its deliveries may be attempted if the grant allows it."""

    subscription: Subscription
    partner: Partner | None
    """None: the table has no row for the partner, so nothing is granted."""


@dataclass(slots=True, frozen=True)
class Held:
    """It would be live, but an operator holds its endpoint, its partner, the type or everything."""

    subscription: Subscription
    partner: Partner | None
    hold: Hold


@dataclass(slots=True, frozen=True)
class Paused:
    """Its owner has paused it."""

    subscription: Subscription
    partner: Partner | None
    since: Millis
    """Start of the open gap; `active_from` if there is none."""


@dataclass(slots=True, frozen=True)
class DisabledStatus:
    """A worker disabled its endpoint; only its owner can enable it again."""

    subscription: Subscription
    partner: Partner | None
    disabled: Disabled


@dataclass(slots=True, frozen=True)
class Deleted:
    """Its owner deleted it: pending deliveries are cancelled."""

    subscription_id: str
    partner_id: str


@dataclass(slots=True, frozen=True)
class Unreadable:
    """Its envelope can be read but not its body: its deliveries wait."""

    unreadable: UnreadableSubscription


@dataclass(slots=True, frozen=True)
class Absent:
    """The table does not have it (yet). This never means that it was deleted."""


SubscriptionStatus: TypeAlias = (
    Live | Held | Paused | DisabledStatus | Deleted | Unreadable | Absent
)
