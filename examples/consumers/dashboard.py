"""A production dashboard counts jobs by stage."""

from collections import Counter
from typing import Any

from examples.consumers.receiver import Receiver


class Dashboard:
    """Jobs by what last happened to them."""

    def __init__(self) -> None:
        """Begin with an empty board."""
        self.stages: Counter[str] = Counter()
        self.receiver = Receiver("dashboard", self.act)

    def act(self, event: dict[str, Any]) -> None:
        """Move a job on the board."""
        self.stages[event["type"]] += 1
