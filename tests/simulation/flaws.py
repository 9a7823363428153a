"""Defects of the worker's own parts: a call of a port raises, once or twice in a story."""

from collections import Counter
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from tests.doubles.raising import Raising

from hookstream.pipeline.engine import Ports

BEFORE = (
    "codec.identify",
    "codec.decode",
    "codec.latest",
    "codec.document",
    "codec.encode",
    "directory.status",
    "directory.granted",
    "directory.match",
    "directory.has_subscribers",
    "sink.write",
    "metrics.records",
    "metrics.deferral",
    "logger.warning",
    "tracer.process",
)
"""Calls after which nothing was sent, or that only report."""

BEHIND = (
    "own_records.attempt",
    "own_records.dead_lettered",
    "own_records.failing",
    "own_records.disabled",
    "sender.send",
    "metrics.attempt",
    "logger.attempt",
)
"""Calls that may happen after a request was sent: its attempt counts as failed, and is made again."""

BY_THE_SENDER = "sender.send"
"""Raises in the story's own sender, once the endpoint has answered."""

FLAWS = (*BEFORE, *BEHIND)


class FlawedError(Exception):
    """Raised where no exception is expected."""


class Flaws:
    """How many of the next calls of each port raise, over all workers of a story."""

    def __init__(self) -> None:
        self.left: Counter[str] = Counter()
        self.behind = 0
        """Calls that raised, of those that may happen after a request was sent."""

    def plant(self, call: str, times: int) -> None:
        """Let so many calls raise from now on."""
        self.left[call] += times

    def heal(self) -> None:
        """Let no call raise any more."""
        self.left.clear()

    def raises(self, call: str) -> bool:
        """Return whether this call raises, and count it."""
        if self.left[call] <= 0:
            return False
        self.left[call] -= 1
        self.behind += call in BEHIND
        return True

    def meet(self, call: str) -> None:
        """Raise if this call is to."""
        if self.raises(call):
            raise FlawedError

    def within(self, outside: Ports) -> Ports:
        """Return ports whose calls raise as planted."""
        there: dict[str, Any] = {
            each.name: getattr(outside, each.name) for each in fields(outside)
        }
        for call in FLAWS:
            port, method = call.split(".")
            if call != BY_THE_SENDER:
                there[port] = Raising(there[port], method, FlawedError, self._when(call))
        return replace(outside, **there)

    def _when(self, call: str) -> Callable[[int], bool]:
        return lambda _: self.raises(call)
