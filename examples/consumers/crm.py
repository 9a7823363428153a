"""A CRM notifies the account's owner that a price is ready."""

from typing import Any

from examples.consumers.receiver import Receiver


class Crm:
    """A list of things to call about."""

    def __init__(self) -> None:
        """Begin with nothing to call about."""
        self.follow_ups: list[str] = []
        self.receiver = Receiver("crm", self.act)

    def act(self, event: dict[str, Any]) -> None:
        """Note one follow-up."""
        self.follow_ups.append(f"{event['type']}: {event['entity_id']}")
