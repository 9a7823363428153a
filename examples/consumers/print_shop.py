"""A partner print shop takes the jobs that were routed to it, in a body of its own shape."""

from typing import Any

from examples.consumers.receiver import Receiver


class PrintShop:
    """Jobs to produce."""

    def __init__(self) -> None:
        """Begin with an empty job list."""
        self.jobs: list[str] = []
        self.receiver = Receiver("print-shop", self.act)

    def act(self, event: dict[str, Any]) -> None:
        """Take a job."""
        self.jobs.append(event["job"])
