"""The ports for events: reading them as they come, and publishing them.

The cluster and the API implement each of these, and each raises the exceptions that `ports.py` documents.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from hookstream.core.model.instant import Millis
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import TopicPartition
from hookstream.entry.admin.event_audience import Audience


@dataclass(slots=True, frozen=True)
class WantedTail:
    """The requested events."""

    topics: Sequence[str] = ()
    """Empty: all event topics."""
    event_types: frozenset[str] = frozenset()
    """Empty: any."""
    from_beginning: bool = False
    """Whether to start with the oldest record, or with the next one."""
    follow: bool = True
    """Whether to continue beyond the present end of the log."""
    most: int | None = None
    """The number after which the caller stops; None: not before the end."""


@dataclass(slots=True, frozen=True)
class TailedRecord:
    """A record, and the event in it."""

    at: TopicPartition
    offset: int
    appended_at: Millis
    event: JsonObject | None
    """As `events send` takes it; None: the record is not an event."""
    problem: str = ""
    """Why it is not an event."""


@dataclass(slots=True, frozen=True)
class SentLines:
    """The result of publishing lines."""

    sent: int
    refused: int
    audiences: Sequence[Audience] = ()
    """The audiences of the sent events, by type and environment."""
    problem: str = ""
    """Why the audiences are not known; empty: they are."""


class LineWatch(Protocol):
    """Receives the result of each line."""

    def read(self, number: int) -> None:
        """A line was read."""

    def refused(self, number: int, why: str) -> None:
        """A line is not published; `why` has the reason."""


class EventCommands(Protocol):
    """Reads and publishes events."""

    def tail(self, wanted: WantedTail) -> Iterator[TailedRecord]:
        """Yield records as they come."""

    def send(self, file: BinaryIO, topic_prefix: str, watch: LineWatch) -> SentLines:
        """Publish the events of a file, one JSON object a line."""
