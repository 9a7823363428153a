"""Event topics and an audit log in memory, as one process of a replay reads them.

Partitions have open transactions, markers, clocks that step and a log start that moves; topics appear and
are created again. Every call passes a point at which its process can be killed.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice

from tests.doubles.clock import LoopClock
from tests.doubles.jobs import JobsBroker, Process

from hookstream.core.jobs.job import Job
from hookstream.core.model.delivery import Delivery
from hookstream.core.model.delivery_headers import (
    is_for_subscription,
    read_delivery,
    read_unmatched,
)
from hookstream.core.model.header_reading import HeaderProblem
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import Origin, Record, TopicPartition
from hookstream.core.replay.extent import LogBounds
from hookstream.core.replay.outstanding import Place
from hookstream.pipeline.past_ports import Ended, PastReader, PastTopic, Taken, TopicListing


class Txn(Enum):
    """Whether a record can be read."""

    COMMITTED = "committed"
    OPEN = "open"
    ABORTED = "aborted"
    MARKER = "marker"


@dataclass
class Entry:
    """One offset of a partition."""

    timestamp: Millis
    value: bytes = b""
    state: Txn = Txn.COMMITTED


@dataclass
class PastPartition:
    """One partition's log."""

    entries: list[Entry] = field(default_factory=list)
    low: int = 0

    @property
    def stable(self) -> int:
        """The last stable offset."""
        opened = (at for at, each in enumerate(self.entries) if each.state is Txn.OPEN)
        return next(opened, len(self.entries))


@dataclass
class PastCluster:
    """What outlives processes."""

    clock: LoopClock = field(default_factory=LoopClock)
    brokers: int = 1
    replicas: int = 1
    topics: dict[str, tuple[str, list[PastPartition]]] = field(default_factory=dict)
    ended: list[tuple[str, Place]] = field(default_factory=list)
    """The audit log: the ends of deliveries, with their jobs."""
    audit_low: int = 0
    """The first of them that retention has left."""
    _made: int = 0

    def create(self, topic: str, partitions: int = 1) -> None:
        """Create a topic, or create it again."""
        self._made += 1
        self.topics[topic] = (
            f"{self._made:032x}",
            [PastPartition() for _ in range(partitions)],
        )

    def grow(self, topic: str, partitions: int) -> None:
        """Give a topic more partitions, as an operator does."""
        found = self.topics[topic][1]
        found += [PastPartition() for _ in range(partitions - len(found))]

    def log(self, at: TopicPartition) -> PastPartition:
        return self.topics[at.topic][1][at.partition]

    def append(
        self,
        topic: str,
        value: bytes,
        timestamp: Millis,
        partition: int = 0,
        state: Txn = Txn.COMMITTED,
    ) -> int:
        """Append a record and return its offset."""
        entries = self.log(TopicPartition(topic, partition)).entries
        entries.append(Entry(timestamp, value, state))
        return len(entries) - 1

    def end(self, topic: str, offset: int, state: Txn, partition: int = 0) -> None:
        """End the transaction of one record: a marker is appended."""
        entries = self.log(TopicPartition(topic, partition)).entries
        entries[offset].state = state
        entries.append(Entry(entries[offset].timestamp, state=Txn.MARKER))

    def committed(self) -> list[Record]:
        """Return every record that can be read in the end."""
        return [
            Record(topic, number, at, entry.timestamp, None, entry.value, ())
            for topic, (_, partitions) in self.topics.items()
            for number, log in enumerate(partitions)
            for at, entry in enumerate(log.entries)
            if entry.state is Txn.COMMITTED
        ]


@dataclass(eq=False)
class PastOf:
    """The event topics as one process sees them. Implements `PastLog`."""

    process: Process
    cluster: PastCluster
    takes: int = 1_000
    """The most records that one take returns."""
    taken: int = 0
    """How many times readers took what was ready."""

    async def now(self) -> Millis:
        return await self.process.now()

    async def topics(self) -> TopicListing:
        await self.process.point()
        cluster = self.cluster
        return TopicListing(
            cluster.brokers,
            {
                name: PastTopic(topic_id, len(partitions), cluster.replicas)
                for name, (topic_id, partitions) in cluster.topics.items()
            },
        )

    async def ids(self, topics: Collection[str]) -> Mapping[str, str | None]:
        await self.process.point()
        there = self.cluster.topics
        return {name: there[name][0] if name in there else None for name in topics}

    async def ends(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        await self.process.point()
        return {at: len(self.cluster.log(at).entries) for at in partitions}

    async def lows(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        await self.process.point()
        return {at: self.cluster.log(at).low for at in partitions}

    async def firsts(
        self, partitions: Collection[TopicPartition], since: Millis
    ) -> Mapping[TopicPartition, int]:
        await self.process.point()
        found = {}
        for at in partitions:
            log = self.cluster.log(at)
            young = (
                offset
                for offset, entry in enumerate(log.entries)
                if offset >= log.low and entry.timestamp >= since
            )
            found[at] = next(young, len(log.entries))
        return found

    async def logs(
        self, partitions: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, LogBounds]:
        await self.process.point()
        found = {}
        for at in partitions:
            if at.topic not in self.cluster.topics:
                found[at] = LogBounds(None, 0, 0)
                continue
            log = self.cluster.log(at)
            found[at] = LogBounds(self.cluster.topics[at.topic][0], log.low, len(log.entries))
        return found

    @asynccontextmanager
    async def read(self, positions: Mapping[TopicPartition, int]) -> AsyncIterator[PastReader]:
        yield ReaderOf(self.process, dict(positions), self.takes, past=self)


@dataclass(eq=False)
class Reading(ABC):
    """One reader over logs in memory: where it stands in each partition. Implements `PastReader`."""

    process: Process
    next: dict[TopicPartition, int]
    most: int
    """The most records that one take returns."""
    gone: set[TopicPartition] = field(default_factory=set)

    @abstractmethod
    def is_gone(self, at: TopicPartition, position: int) -> bool:
        """Return whether a partition cannot be read on from a position."""

    @abstractmethod
    def stable(self, at: TopicPartition) -> int | None:
        """Return the last stable offset of a partition; None: its topic is gone."""

    @abstractmethod
    def since(self, at: TopicPartition, position: int, most: int) -> Sequence[Record]:
        """Return the records that can be read from a position on, up to `most`."""

    async def take(self, most: int) -> Taken:
        await self.process.point()
        records: list[Record] = []
        before = dict(self.next)
        left = min(most, self.most)
        for at, position in before.items():
            if self.is_gone(at, position):
                self.gone.add(at)
            stable = self.stable(at)
            if at in self.gone or stable is None or len(records) >= left:
                continue
            found = self.since(at, position, left - len(records))
            records += found
            cut = bool(found) and len(records) >= left
            self.next[at] = found[-1].offset + 1 if cut else stable
        await self.process.point()
        moved = {at: offset for at, offset in self.next.items() if offset != before[at]}
        if not moved and not self.gone:
            await asyncio.sleep(0.2)
        return Taken(records, moved, frozenset(self.gone), frozenset(self._at_end()))

    def _at_end(self) -> Iterator[TopicPartition]:
        for at, position in self.next.items():
            stable = self.stable(at)
            if at not in self.gone and stable is not None and position >= stable:
                yield at

    async def place(self, positions: Mapping[TopicPartition, int]) -> None:
        self.next.update(positions)
        self.gone.difference_update(positions)

    async def drop(self, partitions: Collection[TopicPartition]) -> None:
        for at in partitions:
            del self.next[at]
            self.gone.discard(at)


def _has(log: PastPartition, position: int) -> bool:
    """Return whether a position can be read from: else the broker answers that it is out of range."""
    return log.low <= position <= len(log.entries)


@dataclass(eq=False)
class ReaderOf(Reading):
    """One reader of the cluster's topics."""

    past: PastOf = field(kw_only=True)

    async def take(self, most: int) -> Taken:
        self.past.taken += 1
        return await super().take(most)

    def is_gone(self, at: TopicPartition, position: int) -> bool:
        cluster = self.past.cluster
        return at.topic not in cluster.topics or not _has(cluster.log(at), position)

    def stable(self, at: TopicPartition) -> int | None:
        cluster = self.past.cluster
        return cluster.log(at).stable if at.topic in cluster.topics else None

    def since(self, at: TopicPartition, position: int, most: int) -> Sequence[Record]:
        log = self.past.cluster.log(at)
        readable = (
            Record(*at, offset, entry.timestamp, None, entry.value, ())
            for offset, entry in enumerate(log.entries[: log.stable])
            if offset >= position and entry.state is Txn.COMMITTED
        )
        return list(islice(readable, most))


@dataclass(eq=False)
class EndingsOf:
    """The audit log as one process follows it. Implements `Endings`."""

    process: Process
    cluster: PastCluster
    job_id: str
    position: int

    async def take(self) -> Ended:
        await self.process.point()
        ended, low = self.cluster.ended, self.cluster.audit_low
        gap, first = self.position < low, max(self.position, low)
        places = {place for job, place in ended[first:] if job == self.job_id}
        self.position = len(ended)
        return Ended(places, {0: self.position}, gap)


@asynccontextmanager
async def endings_of(
    process: Process, cluster: PastCluster, job: Job, positions: Mapping[int, int] | None
) -> AsyncIterator[EndingsOf]:
    """Follow the audit log from its present end, or from where it was followed before."""
    at = len(cluster.ended) if positions is None else positions[0]
    yield EndingsOf(process, cluster, job.id, at)


@dataclass(frozen=True)
class Written:
    """One tier record of a replay."""

    job: str
    origin: Origin
    identified: bool

    @property
    def place(self) -> Place:
        return Place(*self.origin[:3])


def written(broker: JobsBroker, topic: str) -> list[Written]:
    """Return the tier records that replays have written, in order."""
    found: list[Written] = []
    for record in broker.records:
        if record.topic != topic:
            continue
        state = (
            read_delivery(record.headers)
            if is_for_subscription(record.headers)
            else read_unmatched(record.headers)
        )
        assert not isinstance(state, HeaderProblem), state
        assert state.job is not None
        found.append(Written(state.job, state.origin, isinstance(state, Delivery)))
    return found


def places(found: Sequence[Written]) -> list[Place]:
    """Return the places of tier records, sorted."""
    return sorted(each.place for each in found)
