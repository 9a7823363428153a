"""The result of a replay's dry run: counts by event type, including records left out and records already gone."""

from dataclasses import dataclass, field

from hookstream.core.model.instant import Millis
from hookstream.core.model.record import TopicPartition
from hookstream.core.replay.extent import LostOffsets


@dataclass(slots=True)
class TypeCount:
    """Events of one type."""

    events: int = 0
    """Events that would be replayed."""
    first: Millis | None = None
    """The earliest record time of those; None: there are no records."""
    last: Millis | None = None
    not_granted: int = 0
    """Events that match the subscription and that its partner may not see."""

    def add(self, timestamp: Millis) -> None:
        """Count an event that would be replayed."""
        self.events += 1
        self.first = timestamp if self.first is None else min(self.first, timestamp)
        self.last = timestamp if self.last is None else max(self.last, timestamp)


@dataclass(slots=True)
class ReplaySurvey:
    """The counts of one reading."""

    by_type: dict[str, TypeCount] = field(default_factory=dict)
    unidentified: int = 0
    """Records that would be written to be identified later."""
    undecodable: int = 0
    """Records that are no events."""
    others: int = 0
    """Records of the interval that the subscription does not ask for."""
    read: int = 0
    """All records that were read, those outside of the interval included."""
    retained_from: dict[TopicPartition, Millis] = field(default_factory=dict)
    """Partitions of which retention took records that may belong to the interval: the time of the
    oldest that is left, the interval's end if none is."""

    lost: list[LostOffsets] = field(default_factory=list)
    """Offsets that retention removed before they were read."""
    producers_times: set[str] = field(default_factory=set)
    """Topics whose records carry times of their producers: an interval of these is not exact."""

    @property
    def events(self) -> int:
        """How many would be replayed, those that cannot be identified yet included."""
        return sum(count.events for count in self.by_type.values()) + self.unidentified

    @property
    def not_granted(self) -> int:
        """How many are left out because they are not granted."""
        return sum(count.not_granted for count in self.by_type.values())

    def matched(self, event_type: str, timestamp: Millis) -> None:
        """Count an event that would be replayed."""
        self.by_type.setdefault(event_type, TypeCount()).add(timestamp)

    def refused(self, event_type: str) -> None:
        """Count an event that is not granted."""
        self.by_type.setdefault(event_type, TypeCount()).not_granted += 1
