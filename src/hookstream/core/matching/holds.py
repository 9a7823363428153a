"""The holds in force."""

from hookstream.core.model.hold import ALL, Hold, HoldKind
from hookstream.core.model.subscription_status import Held, Live, SubscriptionStatus


class Holds:
    """The holds that operators placed. Changed and read by one owner."""

    __slots__ = ("_holds", "any")

    def __init__(self) -> None:
        """Start with nothing held."""
        self._holds: dict[tuple[HoldKind, str], Hold] = {}
        self.any = False
        """Whether there is any hold: the only check per delivery while there is none."""

    def __len__(self) -> int:
        """Return how many holds there are."""
        return len(self._holds)

    def names(self, kind: HoldKind) -> frozenset[str]:
        """Return what is held of one kind, by name."""
        return frozenset(name for each, name in self._holds if each is kind)

    def put(self, hold: Hold) -> None:
        """Add a hold, replacing an earlier one on the same subject."""
        self._holds[hold.kind, hold.name] = hold
        self.any = True

    def drop(self, kind: HoldKind, name: str) -> bool:
        """Remove a hold; return whether there was one."""
        there = self._holds.pop((kind, name), None) is not None
        self.any = bool(self._holds)
        return there

    def over(
        self, status: SubscriptionStatus, event_type: str | None = None
    ) -> SubscriptionStatus:
        """Return a subscription's status under the holds, for one event type or for any.

        Only a status that allows attempts becomes held. A paused, disabled or deleted subscription
        keeps its status: its deliveries are not attempted anyway.
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
