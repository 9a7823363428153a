"""What commands need of events themselves: reading them as they come, and publishing some.

As for `ports`: the cluster and the API implement each of these, and each may raise what is said there.
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
    """The events that are asked for."""

    topics: Sequence[str] = ()
    """Empty: all event topics."""
    event_types: frozenset[str] = frozenset()
    """Empty: any."""
    from_beginning: bool = False
    """Whether to begin with the oldest record, or with the next one."""
    follow: bool = True
    """Whether to go on where the log ends now."""
    most: int | None = None
    """After how many the caller stops; None: not before the end."""


@dataclass(slots=True, frozen=True)
class TailedRecord:
    """A record, and the event in it."""

    at: TopicPartition
    offset: int
    appended_at: Millis
    event: JsonObject | None
    """As `events send` takes it; None: it is none."""
    problem: str = ""
    """Why it is none."""


@dataclass(slots=True, frozen=True)
class SentLines:
    """What became of lines that were to be published."""

    sent: int
    refused: int
    audiences: Sequence[Audience] = ()
    """Who asks for what was sent, by type and environment."""
    problem: str = ""
    """Why that is not known; empty: it is."""


class LineWatch(Protocol):
    """Is notified of each line."""

    def read(self, number: int) -> None:
        """Hear that a line was read."""

    def refused(self, number: int, why: str) -> None:
        """Hear that a line is not published, and why."""


class EventCommands(Protocol):
    """Reads and publishes events."""

    def tail(self, wanted: WantedTail) -> Iterator[TailedRecord]:
        """Yield records as they come."""

    def send(self, file: BinaryIO, topic_prefix: str, watch: LineWatch) -> SentLines:
        """Publish the events of a file, one JSON object a line."""
