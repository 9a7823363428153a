"""Event topics in memory: what is published to them is read from them, by the real encoder and decoder."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.doubles.clock import NOON

from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.model.record import OutgoingRecord, Record, TopicPartition
from hookstream.entry.admin.event_decoding import EventDecoder
from hookstream.entry.admin.event_pages import (
    EventPosition,
    EventsAsked,
    EventsPart,
    PartReading,
)
from hookstream.entry.admin.event_sending import SentEvents, sender_to_event_topics
from hookstream.entry.admin.known_names import NO_TOPIC
from hookstream.errors import InputRefused
from hookstream.producer import EventProducer
from hookstream.settings import Settings

PARTITIONS = 2


class MemoryProducer(EventProducer):
    """Writes what the real one would."""

    def __init__(self, topics: "MemoryTopics", topic_prefix: str) -> None:
        trees = [schema.tree for schema in topics.book]
        super().__init__("nowhere:1", schemas=trees, topic_prefix=topic_prefix)
        self._topics = topics

    async def _write(self, record: OutgoingRecord) -> None:
        if not record.topic.startswith("printprice."):
            raise InputRefused(f"there is no topic {record.topic}")
        self._topics.append(record)


@dataclass
class MemoryLog:
    """Reads the topics, some records at a time."""

    topics: "MemoryTopics"
    next: dict[TopicPartition, int]
    at_once: int = 3

    def poll(self) -> list[Record] | None:
        found: list[Record] = []
        for at, offset in self.next.items():
            log = self.topics.logs[at][offset : offset + self.at_once]
            found += log
            self.next[at] = offset + len(log)
        return found or None

    def drop(self, at: TopicPartition) -> None:
        del self.next[at]


@dataclass
class MemoryTopics:
    """The event topics of a world."""

    settings: Settings
    book: SchemaBook
    logs: dict[TopicPartition, list[Record]] = field(default_factory=dict)
    asked: list[EventsAsked] = field(default_factory=list)
    """Every part that was asked for."""
    seconds: float = 0.0

    def append(self, record: OutgoingRecord) -> None:
        # By the key's last byte, so that a test knows where an event is.
        number = (record.key or b"\0")[-1] % PARTITIONS
        for each in range(PARTITIONS):
            self.logs.setdefault(TopicPartition(record.topic, each), [])
        log = self.logs[TopicPartition(record.topic, number)]
        log.append(
            Record(
                record.topic,
                number,
                len(log),
                NOON + len(log),
                record.key,
                record.value,
                tuple(record.headers),
            )
        )

    def decoder(self) -> EventDecoder:
        return EventDecoder(self.settings, 1 << 20, self.book)

    def every(self) -> Iterator[Record]:
        for at in sorted(self.logs):
            yield from self.logs[at]

    def read(self, asked: EventsAsked) -> EventsPart:
        self.asked.append(asked)
        positions = asked.positions or self._first(asked)
        log = MemoryLog(self, {each.at: each.offset for each in positions if not each.is_over})
        return PartReading(log, positions, self.decoder(), asked, self._clock).part()

    def send(self, lines: Sequence[bytes], topic_prefix: str) -> SentEvents:
        """Publish lines as a console does; nothing waits, so it needs no loop."""
        refused: list[tuple[int, str]] = []
        sender = sender_to_event_topics(self.settings, topic_prefix, refused)
        producer = MemoryProducer(self, topic_prefix)
        for number, line in enumerate(lines):
            with contextlib.suppress(StopIteration):
                sender.send_one(producer, number, line).send(None)
        return SentEvents(sender.sent, sender.kinds, refused)

    @asynccontextmanager
    async def opened(self, settings: Settings, topic_prefix: str) -> AsyncIterator[EventProducer]:
        del settings
        await asyncio.sleep(0)
        yield MemoryProducer(self, topic_prefix)

    def _first(self, asked: EventsAsked) -> list[EventPosition]:
        known = {at.topic for at in self.logs}
        for topic in asked.topics:
            if topic not in known:
                raise InputRefused(f"{topic!r}: {NO_TOPIC}")
        return [
            EventPosition(
                at, 0 if asked.from_beginning else len(log), None if asked.follow else len(log)
            )
            for at, log in sorted(self.logs.items())
            if at.topic in (asked.topics or known)
        ]

    def _clock(self) -> float:
        self.seconds += 0.1
        return self.seconds
