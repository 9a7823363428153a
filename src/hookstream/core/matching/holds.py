"""The holds in force, asked only while there are any."""

from hookstream.core.model.hold import ALL, Hold, HoldKind
from hookstream.core.model.subscription_status import Held, Live, SubscriptionStatus


class Holds:
    """What operators stopped. Changed and asked by one owner."""

    __slots__ = ("_holds", "any")

    def __init__(self) -> None:
        """Start with nothing held."""
        self._holds: dict[tuple[HoldKind, str], Hold] = {}
        self.any = False
        """Whether anything is held: the one thing that a delivery asks while nothing is."""

    def __len__(self) -> int:
        """Return how many holds there are."""
        return len(self._holds)

    def put(self, hold: Hold) -> None:
        """Take over a hold, in place of the one that was on the same."""
        self._holds[hold.kind, hold.name] = hold
        self.any = True

    def drop(self, kind: HoldKind, name: str) -> bool:
        """Take over that a hold was cleared; tell whether there was one."""
        there = self._holds.pop((kind, name), None) is not None
        self.any = bool(self._holds)
        return there

    def over(
        self, status: SubscriptionStatus, event_type: str | None = None
    ) -> SubscriptionStatus:
        """Return how a subscription stands under the holds, for an event type or whatever the type.

        Only what would be attempted is held. A paused, disabled or deleted subscription stays
        what it is: its deliveries are not attempted anyway.
        """
        if not isinstance(status, Live):
            return status
        subscription = status.subscription
        found = self._holds.get
        hold = (
            found((HoldKind.EVERYTHING, ALL))
            or found((HoldKind.PARTNER, subscription.partner_id))
            or found((HoldKind.ENDPOINT, subscription.id))
            or (None if event_type is None else found((HoldKind.EVENT_TYPE, event_type)))
        )
        return status if hold is None else Held(subscription, status.partner, hold)
