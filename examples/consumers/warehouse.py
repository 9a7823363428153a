"""A data warehouse loads events in batches: many rows by one request, and no row twice."""

from collections import Counter
from typing import Any

from examples.consumers.receiver import Receiver


class Warehouse:
    """Rows by the type of their events."""

    def __init__(self) -> None:
        """Begin with empty tables."""
        self.rows: Counter[str] = Counter()
        self.receiver = Receiver("warehouse", self.act, batches=True)

    def act(self, event: dict[str, Any]) -> None:
        """Load one row."""
        self.rows[event["type"]] += 1
