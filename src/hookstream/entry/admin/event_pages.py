"""Reads events from several topics in parts; each part has the position of the next one.

No state is kept between parts, so any console may read a part, and read it again.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Final, NamedTuple, Protocol

from hookstream.adapters.kafka.scan import LogScan, log_from
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import Record, TopicPartition
from hookstream.core.topology.plan import event_topics
from hookstream.entry.admin.event_decoding import EventDecoder
from hookstream.entry.admin.event_tail import event_in, topics_to_tail
from hookstream.entry.admin.known_names import NO_TOPIC
from hookstream.entry.admin.topics import cluster_topics
from hookstream.entry.cluster import reached
from hookstream.errors import InputRefused
from hookstream.settings import Settings

MOST_SHOWN: Final = 500
"""Records of one part."""
MOST_READ: Final = 20_000
"""Records that are read for one part, shown or not."""
MOST_BYTES: Final = 1 << 20
"""Bytes of the values of one part's records; the record that exceeds them is its last one."""
LONGEST_WAIT: Final = 20.0
"""Seconds."""


class EventPosition(NamedTuple):
    """Where the next part continues in a partition."""

    at: TopicPartition
    offset: int
    end: int | None
    """The offset after the last record that is read; None: there is no end."""

    @property
    def is_over(self) -> bool:
        """Whether the end is reached."""
        return self.end is not None and self.offset >= self.end


@dataclass(slots=True, frozen=True)
class EventsAsked:
    """The request for one part."""

    topics: Sequence[str] = ()
    """Empty: all event topics. Those of `positions` where there are some."""
    event_types: frozenset[str] = frozenset()
    """Empty: any."""
    positions: Sequence[EventPosition] = ()
    """Where the part before ended; empty: it is the first one."""
    from_beginning: bool = False
    """Whether the first part starts with the oldest record, or with the next one."""
    follow: bool = False
    """Whether reading continues beyond the present end of the log."""
    most: int = 100
    """Records that are shown at most."""
    seconds: float = 0.0
    """How long the part takes at most."""


@dataclass(slots=True)
class EventsPart:
    """One part of the events."""

    shown: list[tuple[Record, JsonObject | str]] = field(default_factory=list)
    """Each record with its event, or with a sentence that says why it is not an event."""
    positions: Sequence[EventPosition] = ()
    read: int = 0
    """Records that were read for it."""

    @property
    def is_over(self) -> bool:
        """Whether every end was reached."""
        return all(each.is_over for each in self.positions)


class PartLog(Protocol):
    """The log that parts are read from, as `LogReader` reads it."""

    next: dict[TopicPartition, int]
    """The next offset of each partition that is read."""

    def poll(self) -> list[Record] | None:
        """Wait for some time and return what is ready; None: nothing moved `next`."""

    def drop(self, at: TopicPartition) -> None:
        """Read no more of a partition."""


def read_events(settings: Settings, decoder: EventDecoder, asked: EventsAsked) -> EventsPart:
    """Return the next part of some topics' events.

    It ends once it has what was asked for, once all ends are reached, or once its time is over; where there is
    no end, also as soon as it has something and no more is there.

    Raises:
        InputRefused: A topic has no events or does not exist, or lost records that were not read yet.
        ConfigurationError: The cluster has no event topics, or one may not be read.
        DependencyUnavailable: The cluster does not answer.
    """
    positions = _checked(settings, asked) if asked.positions else _first(settings, asked)
    starts = {each.at: each.offset for each in positions if not each.is_over}
    if not starts:
        return EventsPart(positions=positions)
    with log_from(reached(settings), starts) as log:
        return PartReading(log, positions, decoder, asked).part()


@dataclass(slots=True)
class PartReading:
    """Reads one part."""

    log: PartLog
    """Reads the partitions that are not over."""
    positions: Sequence[EventPosition]
    """Of all partitions."""
    decoder: EventDecoder
    asked: EventsAsked
    clock: Callable[[], float] = monotonic
    """Seconds."""
    _part: EventsPart = field(default_factory=EventsPart)
    _size: int = 0

    def part(self) -> EventsPart:
        """Read it, once."""
        offsets = {each.at: each.offset for each in self.positions}
        ends = {each.at: each.end for each in self.positions}
        until = self.clock() + self.asked.seconds
        while self.log.next:
            records = self.log.poll() or []
            kept = self._taken(records, ends)
            for at, following in [*self.log.next.items()]:
                offsets[at] = kept.get(at, following)
                if EventPosition(at, offsets[at], ends[at]).is_over:
                    self.log.drop(at)
            is_drained = self.asked.follow and bool(self._part.shown) and not records
            if self._is_full or is_drained or self.clock() >= until:
                break
        self._part.positions = [
            EventPosition(at, offset, ends[at]) for at, offset in offsets.items()
        ]
        return self._part

    def _taken(
        self, records: Sequence[Record], ends: Mapping[TopicPartition, int | None]
    ) -> Mapping[TopicPartition, int]:
        """Take records, and return the next position of each partition that has more for the next part."""
        kept: dict[TopicPartition, int] = {}
        for record in records:
            at, end = record.where, ends[record.where]
            if end is not None and record.offset >= end:
                continue
            if self._is_full:
                kept.setdefault(at, record.offset)
                continue
            self._part.read += 1
            event = event_in(self.decoder, record, self.asked.event_types)
            if event is not None:
                self._size += len(record.value or b"")
                self._part.shown.append((record, event))
        return kept

    @property
    def _is_full(self) -> bool:
        return (
            len(self._part.shown) >= min(self.asked.most, MOST_SHOWN)
            or self._part.read >= MOST_READ
            or self._size >= MOST_BYTES
        )


def _first(settings: Settings, asked: EventsAsked) -> Sequence[EventPosition]:
    """Return where the first part begins, and all parts end."""
    topics = sorted({*asked.topics}) or topics_to_tail(settings)
    _require_events(settings, topics)
    client = reached(settings)
    return [
        EventPosition(
            TopicPartition(topic, number),
            bounds.start if asked.from_beginning else bounds.end,
            None if asked.follow else bounds.end,
        )
        for topic in topics
        for number, bounds in LogScan(client, topic).bounds().items()
    ]


def _checked(settings: Settings, asked: EventsAsked) -> Sequence[EventPosition]:
    """Return the positions that are asked for: all of them are in the log."""
    topics = sorted({each.at.topic for each in asked.positions})
    _require_events(settings, topics)
    client = reached(settings)
    logs = {topic: LogScan(client, topic).bounds() for topic in topics}
    for at, offset, _ in asked.positions:
        bounds = logs[at.topic].get(at.partition)
        if bounds is None:
            raise InputRefused(f"{at.topic} has no partition {at.partition}")
        if not bounds.start <= offset <= bounds.end:
            raise InputRefused(
                f"{at.topic}/{at.partition} does not have {offset}: its log is {bounds.start} to"
                f" {bounds.end} now, so unread records are gone: start again without a cursor"
            )
    return asked.positions


def _require_events(settings: Settings, topics: Iterable[str]) -> None:
    """Refuse topics that have no events, such as hookstream's tables."""
    names, existing = settings.topics_names, cluster_topics(settings)
    ours = (names.operations, names.attempts, names.dead_letters, names.undecodable)
    for topic in topics:
        if topic not in existing:
            raise InputRefused(f"{topic[:249]!r}: {NO_TOPIC}")
        is_ours = topic in ours or names.delay_of(topic) is not None
        if not is_ours and not event_topics(settings.events.topics, names, [topic]):
            raise InputRefused(
                f"{topic} is not read through the API: it is not an event topic (events.topics), not a"
                " tier, and not one of hookstream's topics with events"
            )
