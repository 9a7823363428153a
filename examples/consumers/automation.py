"""A workflow automation starts the flow that is named after the event's type."""

from collections import Counter
from typing import Any

from examples.consumers.receiver import Receiver


class Automation:
    """Runs of flows, by name."""

    def __init__(self) -> None:
        """Begin with no run."""
        self.runs: Counter[str] = Counter()
        self.receiver = Receiver("automation", self.act)

    def act(self, event: dict[str, Any]) -> None:
        """Start a flow."""
        self.runs[f"on-{event['type'].replace('.', '-')}"] += 1
