"""The two worlds in which a record source must behave alike: in memory, and on a real broker."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from tests.doubles.broker import FROM_THE_START, Broker
from tests.doubles.clock import LoopClock

from hookstream.core.intake.start import StartPolicy
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import Headers, Record, TopicPartition
from hookstream.pipeline.ports import AssignmentListener, RecordSource

Pick = Callable[[Iterable[str]], list[str]]


class Source(RecordSource, Protocol):
    """What every source can do beyond taking records."""

    @property
    def stopped(self) -> Mapping[TopicPartition, str]: ...

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    def refresh_now(self) -> None: ...

    def start_partition(self, partition: TopicPartition, at: str | Millis) -> None: ...


class World(Protocol):
    """A broker and what the suite does to it."""

    prefix: str

    async def create(self, topic: str, partitions: int = 1) -> None: ...

    async def append(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int = 0,
    ) -> None: ...

    async def delete_before(self, partition: TopicPartition, offset: int) -> None: ...

    async def committed(self, group: str, partition: TopicPartition) -> int | None: ...

    async def commit(self, group: str, partition: TopicPartition, offset: int) -> None: ...

    def now(self) -> Millis: ...

    def source(
        self, group: str, pick: Pick, listener: AssignmentListener, starts: StartPolicy = ...
    ) -> Source: ...


class MemoryWorld:
    """The double."""

    def __init__(self) -> None:
        self.prefix = "t"
        self.clock = LoopClock()
        self.broker = Broker(self.clock)

    async def create(self, topic: str, partitions: int = 1) -> None:
        self.broker.create(topic, partitions)

    async def append(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int = 0,
    ) -> None:
        self.broker.append(topic, value, key=key, headers=headers, partition=partition)

    async def delete_before(self, partition: TopicPartition, offset: int) -> None:
        self.broker.delete_before(partition, offset)

    async def committed(self, group: str, partition: TopicPartition) -> int | None:
        return self.broker.commits.get(group, {}).get(partition)

    async def commit(self, group: str, partition: TopicPartition, offset: int) -> None:
        self.broker.commits.setdefault(group, {})[partition] = offset

    def now(self) -> Millis:
        return self.clock.now()

    def source(
        self,
        group: str,
        pick: Pick,
        listener: AssignmentListener,
        starts: StartPolicy = FROM_THE_START,
    ) -> Source:
        return self.broker.source(group, pick, listener, starts)


async def take_some(source: Source, count: int, seconds: float = 15.0) -> list[Record]:
    """Take until so many records came or the time is over."""
    taken: list[Record] = []
    try:
        async with asyncio.timeout(seconds):
            while len(taken) < count:
                taken.extend(await source.take(100))
    except TimeoutError:
        pass
    return taken


async def take_until(source: Source, condition: Callable[[], bool], seconds: float = 15.0) -> None:
    """Keep taking, and let what comes go, until something holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            assert not await source.take(100)
