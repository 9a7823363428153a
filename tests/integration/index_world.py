"""Attempts of hours that lie back, on a real broker, and a follower that reads them into an index."""

import threading
import time
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic  # type: ignore[attr-defined]
from tests.doubles.index_log import Logged, SilentLog, counted_naively
from tests.integration.dead_letters_world import World, delivery

from hookstream.adapters.avro.audit_reader import AuditReader
from hookstream.adapters.avro.own_events import AvroOwnRecords
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.index.answers import AttemptFilter, IndexedAttempt, Whose
from hookstream.adapters.index.reader import IndexReader
from hookstream.adapters.index.writer import Log
from hookstream.adapters.kafka.lookups import ask_offsets
from hookstream.adapters.tables.rows import disabled_row, failing_row
from hookstream.core.audit.entry import AuditEntry
from hookstream.core.model.attempt import AttemptRecord
from hookstream.core.model.delivery import Trigger
from hookstream.core.model.instant import HOUR, MINUTE, Millis
from hookstream.core.model.outcome import Complete, Delivered, Failed, FailureKind, RetryAt
from hookstream.core.model.record import Origin
from hookstream.entry.admin.index import IndexFollower
from hookstream.errors import DependencyUnavailable
from hookstream.settings import Settings
from hookstream.settings.groups import KafkaSettings, TopicsSettings

T = TypeVar("T")
PATIENCE = 240.0
FAILED = Failed(FailureKind.STATUS, "answered 503", 503)


def settings_of(world: World) -> Settings:
    """The settings of a cluster."""
    return Settings(
        kafka=KafkaSettings(bootstrap_servers=world.bootstrap_servers),
        topics=TopicsSettings(prefix=world.names.prefix),
    )


@contextmanager
def following(
    world: World,
    folder: Path,
    *,
    most_bytes: int = 1 << 30,
    now: Callable[[], Millis] | None = None,
    each: Callable[[], object] = lambda: None,
    log: Log | None = None,
) -> Iterator[None]:
    """Follow on a thread, as long as the block runs; `each` is called there before each piece of work."""
    ended = threading.Event()

    def stopped() -> bool:
        each()
        return ended.is_set()

    follower = IndexFollower(
        settings_of(world), folder, most_bytes, log or SilentLog(), stopped, now=now
    )
    thread = threading.Thread(target=follower.run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(60)
        assert not thread.is_alive()


def eventually(asked: Callable[[], T], holds: Callable[[T], bool]) -> T:
    """Ask until the answer meets a condition."""
    end = time.monotonic() + PATIENCE
    found: T | DependencyUnavailable | None = None
    while time.monotonic() < end:
        try:
            found = asked()
        except DependencyUnavailable as error:
            found = error
            time.sleep(0.1)
            continue
        if holds(found):
            return found
        time.sleep(0.3)
    pytest.fail(f"not within {PATIENCE:g} s; at last {found}")


def all_attempts(reader: IndexReader) -> list[IndexedAttempt]:
    """All pages of all attempts."""
    found: list[IndexedAttempt] = []
    page = reader.attempts(AttemptFilter(), limit=200)
    found += page.items
    while page.after is not None:
        page = reader.attempts(AttemptFilter(), page.after, limit=200)
        found += page.items
    return found


def places(attempts: list[IndexedAttempt]) -> list[tuple[int, int, int]]:
    """Where they are, in the order of places."""
    return sorted((each.at, each.partition, each.offset) for each in attempts)


@dataclass
class AttemptsTopic:
    """The attempts topic, whose records have the times that the test says: it is a CreateTime topic."""

    world: World
    partitions: int = 2
    logged: list[Logged] = field(default_factory=list)
    """What the topic has, in the order of appending."""
    _next: dict[int, int] = field(default_factory=dict)
    _number: int = 0

    @property
    def name(self) -> str:
        """Its name."""
        return self.world.names.attempts

    def __post_init__(self) -> None:
        """Make a client, which lives as long as its answers are waited for."""
        self.admin = AdminClient({"bootstrap.servers": self.world.bootstrap_servers})

    def create(self) -> None:
        """Create it again, empty."""
        self.world.remove(self.name)
        config = {"message.timestamp.type": "CreateTime"}

        def created() -> str:
            made = NewTopic(self.name, self.partitions, 1, config=config)
            try:
                self.admin.create_topics([made])[self.name].result(60)
            except KafkaException as error:
                return str(error)
            return ""

        # A request that was repeated may have been answered already.
        eventually(created, lambda found: not found or "TOPIC_ALREADY_EXISTS" in found)
        self._led(self.partitions)
        self.logged.clear()
        self._next.clear()

    def _led(self, partitions: int) -> None:
        every = [(self.name, partition) for partition in range(partitions)]
        ask_offsets(self.admin, every, "latest", 60, "the ends of the topic")

    def grow(self, partitions: int) -> None:
        """Add partitions."""
        self.admin.create_partitions([NewPartitions(self.name, partitions)])[self.name].result(30)

        def led() -> bool:
            topic = self.admin.list_topics(self.name, timeout=30).topics[self.name]
            return len(topic.partitions) == partitions

        eventually(led, bool)
        self._led(partitions)
        self.partitions = partitions

    def delete_below(self, partition: int, offset: int) -> None:
        """Let retention take what is below an offset."""
        at = KafkaPartition(self.name, partition, offset)
        [answer] = self.admin.delete_records([at]).values()
        answer.result(60)

    def append(self, times: list[Millis], partition: int | None = None) -> list[Logged]:
        """Append an attempt at each of these times, of events of the same time; every third one failed.

        Those that failed are attempted again by the record that follows them in the partition.
        """
        own = AvroOwnRecords(self.world.names, "w-1", disabled_row, failing_row)
        reader = AuditReader(SchemaBook())
        producer = Producer(self.world.client)
        made: list[Logged] = []
        for at in times:
            self._number += 1
            number = self._number
            where = number % self.partitions if partition is None else partition
            of = delivery(number)
            origin = Origin("things", 0, number, at - 500)
            failed = number % 3 == 0
            value = own.attempt(
                AttemptRecord(
                    delivery=replace(of, origin=origin, attempt=1, trigger=Trigger.INITIAL),
                    event_version=1,
                    entity_id=f"order-{number % 7}",
                    environment="production",
                    attempt=1,
                    outcome=FAILED if failed else Delivered(200),
                    disposition=RetryAt(at + 5_000) if failed else Complete(),
                    started_at=at - 20,
                    duration_us=12_345,
                    request_bytes=900,
                    host="crm.example",
                    trace_id=None,
                )
            )
            entry = reader.read(value)
            assert isinstance(entry, AuditEntry)
            producer.produce(self.name, value, b"k", where, timestamp=at)
            offset = self._next.get(where, 0)
            self._next[where] = offset + 1
            made.append(Logged(self.name, where, offset, at, entry))
        assert producer.flush(60) == 0
        self.logged += made
        return made

    def is_indexed(self, reader: IndexReader, now: Millis, *, missing: AbstractSet[int]) -> bool:
        """Return whether the index has every record once and counts as the log does.

        Args:
            reader: The index.
            now: The present.
            missing: Numbers of records of `logged` that the log lost before they were read.
        """
        kept = [each for number, each in enumerate(self.logged) if number not in missing]
        return reader_has(reader, kept, now)


def reader_has(reader: IndexReader, kept: list[Logged], now: Millis) -> bool:
    """Return whether the index has these records, each once, and their statistics."""
    since = min(each.at for each in kept) - HOUR
    counted = reader.statistics(Whose(), since - since % HOUR, now, MINUTE, now=now)
    steps = {at: counts for at, counts in counted.steps if counts.events}
    # The lists are long: they are read once the counts are right.
    if steps != counted_naively(kept, now):
        return False
    return places(all_attempts(reader)) == sorted(
        (each.at, each.partition, each.offset) for each in kept
    )
