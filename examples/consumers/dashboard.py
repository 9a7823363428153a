"""A production dashboard counts jobs by stage: thin bodies have all that it needs."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from examples.consumers.receiver import Receiver, json_of

from hookstream.receiver import BodyRefused


def thin_event(headers: Mapping[str, str], raw: bytes) -> dict[str, Any]:
    """Read a body without data."""
    event = json_of(headers, raw)
    if "data" in event:
        raise BodyRefused(["a thin body has no data"])
    return event


class Dashboard:
    """Jobs by what last happened to them."""

    def __init__(self) -> None:
        """Begin with an empty board."""
        self.stages: Counter[str] = Counter()
        self.receiver = Receiver("dashboard", self.act, thin_event)

    def act(self, event: dict[str, Any]) -> None:
        """Move a job on the board."""
        self.stages[event["type"]] += 1
