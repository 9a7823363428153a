"""An order system keeps the state of every print job that became an order."""

from typing import Any

from examples.consumers.receiver import Receiver


class OrderSystem:
    """Orders by number; a later event never overwrites with an older state."""

    def __init__(self) -> None:
        """Know no order yet."""
        self.orders: dict[str, dict[str, Any]] = {}
        self.receiver = Receiver("order-system", self.act)

    def act(self, event: dict[str, Any]) -> None:
        """Store an order's state, unless a newer one is known: no order of arrival is guaranteed."""
        known = self.orders.get(event["entity_id"])
        if known is None or known["timestamp"] <= event["timestamp"]:
            self.orders[event["entity_id"]] = event
