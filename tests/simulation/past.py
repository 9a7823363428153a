"""The event topics and the audit log of a story, as one process of a job reads them.

Every call passes a point at which the process may be killed or frozen.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson
from tests.doubles.broker import Log
from tests.doubles.jobs import Process
from tests.doubles.past import Reading

from hookstream.core.jobs.job import Job
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import Record, TopicPartition
from hookstream.core.replay.extent import LogBounds
from hookstream.core.replay.outstanding import Place
from hookstream.pipeline.past_ports import Ended, PastReader, PastTopic, TopicListing

if TYPE_CHECKING:
    from tests.simulation.world import World

FINAL = frozenset({"complete", "dead_letter", "cancel"})
TAKES = 7
"""The most records that one take returns."""


@dataclass(eq=False)
class StoryPast:
    """The event topics as one process sees them. Implements `PastLog`."""

    process: Process
    world: "World"

    async def now(self) -> Millis:
        return await self.process.now()

    async def topics(self) -> TopicListing:
        await self.process.point()
        broker = self.world.broker
        found = self.world.event_topics(broker.topics())
        there = {name: PastTopic(_id_of(name), broker.partitions[name], 1) for name in found}
        return TopicListing(self.world.brokers, there)

    async def ids(self, topics: Collection[str]) -> Mapping[str, str | None]:
        await self.process.point()
        there = self.world.broker.partitions
        return {name: _id_of(name) if name in there else None for name in topics}

    async def ends(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        await self.process.point()
        return {at: self.world.broker.high(at) for at in partitions}

    async def lows(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        await self.process.point()
        return {at: self.world.broker.low(at) for at in partitions}

    async def firsts(
        self, partitions: Collection[TopicPartition], since: Millis
    ) -> Mapping[TopicPartition, int]:
        await self.process.point()
        found = {}
        for at in partitions:
            log = self.world.broker.logs[at]
            young = (each.offset for each in log.records if each.timestamp >= since)
            found[at] = next(young, log.high)
        return found

    async def logs(
        self, partitions: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, LogBounds]:
        await self.process.point()
        broker = self.world.broker
        return {
            at: LogBounds(_id_of(at.topic), broker.low(at), broker.high(at)) for at in partitions
        }

    @asynccontextmanager
    async def read(self, positions: Mapping[TopicPartition, int]) -> AsyncIterator[PastReader]:
        logs = self.world.broker.logs
        yield StoryReader(self.process, dict(positions), TAKES, logs=logs)


@dataclass(eq=False)
class StoryReader(Reading):
    """One reader of the story's topics."""

    logs: Mapping[TopicPartition, Log] = field(default_factory=dict)

    def is_gone(self, at: TopicPartition, position: int) -> bool:
        return position < self.logs[at].low

    def stable(self, at: TopicPartition) -> int:
        return self.logs[at].stable

    def since(self, at: TopicPartition, position: int, most: int) -> Sequence[Record]:
        return self.logs[at].since(position, most)


@dataclass(eq=False)
class StoryEndings:
    """The audit log as one process follows it. Implements `Endings`."""

    process: Process
    world: "World"
    job_id: str
    position: int

    async def take(self) -> Ended:
        await self.process.point()
        log = self.world.broker.logs[TopicPartition(self.world.topics.attempts, 0)]
        places = set()
        for record in log.since(self.position, log.high):
            entry = orjson.loads(record.value or b"{}")
            if entry["job_id"] == self.job_id and entry["disposition"] in FINAL:
                places.add(Place(*entry["origin"]))
        self.position = log.high
        return Ended(places, {0: self.position})


@asynccontextmanager
async def endings_of(
    process: Process, world: "World", job: Job, positions: Mapping[int, int] | None
) -> AsyncIterator[StoryEndings]:
    """Follow the audit log from its present end, or from where it was followed before."""
    high = world.broker.high(TopicPartition(world.topics.attempts, 0))
    yield StoryEndings(process, world, job.id, high if positions is None else positions[0])


def _id_of(topic: str) -> str:
    return topic.encode().hex().ljust(32, "0")[:32]
