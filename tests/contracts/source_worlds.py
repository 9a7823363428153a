"""The two worlds in which a record source must behave alike: in memory, and on a real broker."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from confluent_kafka import ConsumerGroupTopicPartitions, Producer
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic, OffsetSpec  # type: ignore[attr-defined]
from tests.doubles.broker import FROM_THE_START, Broker
from tests.doubles.clock import LoopClock
from tests.doubles.logger import BookkeepingLogger

from hookstream.adapters.kafka.consumer import KafkaSource
from hookstream.adapters.system import SystemClock
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import Headers, Record, TopicPartition
from hookstream.core.offsets.start import StartPolicy
from hookstream.pipeline.ports import AssignmentListener, RecordSource

_NOTHING: Mapping[str, str | int | float | bool] = {}
Pick = Callable[[Iterable[str]], list[str]]


class Source(RecordSource, Protocol):
    """What every source can do beyond taking records."""

    @property
    def stopped(self) -> Mapping[TopicPartition, str]: ...

    async def start(self, listener: AssignmentListener) -> None: ...

    async def close(self) -> object: ...

    def refresh_now(self) -> None: ...

    def start_partition(self, partition: TopicPartition, at: str | Millis) -> None: ...


class World(Protocol):
    """A broker and what the suite does to it."""

    prefix: str

    async def create(self, topic: str, partitions: int = 1) -> None: ...

    async def add_partitions(self, topic: str, until: int) -> None: ...

    async def append(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int = 0,
    ) -> None: ...

    async def transaction(self, topic: str, *values: bytes) -> None: ...

    async def delete_before(self, partition: TopicPartition, offset: int) -> None: ...

    async def committed(self, group: str, partition: TopicPartition) -> int | None: ...

    async def commit(self, group: str, partition: TopicPartition, offset: int) -> None: ...

    def now(self) -> Millis: ...

    def source(self, group: str, pick: Pick, starts: StartPolicy = ...) -> Source: ...


class MemoryWorld:
    """The double."""

    def __init__(self) -> None:
        self.prefix = "t"
        self.clock = LoopClock()
        self.broker = Broker(self.clock)

    async def create(self, topic: str, partitions: int = 1) -> None:
        self.broker.create(topic, partitions)

    async def add_partitions(self, topic: str, until: int) -> None:
        self.broker.add_partitions(topic, until - self.broker.partitions[topic])

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

    async def transaction(self, topic: str, *values: bytes) -> None:
        for value in values:
            self.broker.append(topic, value, partition=0)
        self.broker.mark(TopicPartition(topic, 0))

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
        starts: StartPolicy = FROM_THE_START,
    ) -> Source:
        return self.broker.source(group, pick, starts)


class KafkaWorld:
    """A real broker."""

    def __init__(
        self,
        servers: str,
        prefix: str,
        protocol: str,
        more: Mapping[str, str | int | float | bool] = _NOTHING,
    ) -> None:
        self.prefix = prefix
        self._client: dict[str, str | int | float | bool] = {"bootstrap.servers": servers}
        # How soon a member learns that another joined: the broker sets it for the `consumer` protocol.
        beats = {"heartbeat.interval.ms": 500} if protocol == "classic" else {}
        self._settings = self._client | beats | dict(more)
        self._protocol = protocol
        self._admin = AdminClient(self._client)
        self._producer = Producer(self._client)
        self._clock = SystemClock()
        self.logger = BookkeepingLogger()

    async def create(self, topic: str, partitions: int = 1) -> None:
        config = {"message.timestamp.type": "LogAppendTime"}
        made = self._admin.create_topics([NewTopic(topic, partitions, 1, config=config)])
        await asyncio.wrap_future(made[topic])

    async def add_partitions(self, topic: str, until: int) -> None:
        made = self._admin.create_partitions([NewPartitions(topic, until)])
        await asyncio.wrap_future(made[topic])
        # The old one may not know of them for minutes.
        self._producer = Producer(self._client)

    async def append(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int = 0,
    ) -> None:
        self._producer.produce(topic, value, key, partition, headers=list(headers))
        self._producer.flush(10)

    async def transaction(self, topic: str, *values: bytes) -> None:
        last = await asyncio.to_thread(self._transact, topic, values)
        at = KafkaPartition(topic, 0)
        async with asyncio.timeout(60):  # the marker is written after the commit is answered
            while await self._end(at) < last + 2:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def _end(self, at: KafkaPartition) -> int:
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        asked = self._admin.list_offsets({at: latest})[at]
        return int((await asyncio.wrap_future(asked)).offset)

    def _transact(self, topic: str, values: Sequence[bytes]) -> int:
        offsets: list[int] = []
        writer = Producer(self._client | {"transactional.id": f"{self.prefix}.writer"})
        writer.init_transactions(10)
        writer.begin_transaction()
        for value in values:
            writer.produce(
                topic,
                value,
                partition=0,
                on_delivery=lambda _, answered: offsets.append(answered.offset() or 0),
            )
        writer.commit_transaction(10)
        return max(offsets)

    async def delete_before(self, partition: TopicPartition, offset: int) -> None:
        at = KafkaPartition(*partition, offset)
        await asyncio.wrap_future(self._admin.delete_records([at])[at])

    async def committed(self, group: str, partition: TopicPartition) -> int | None:
        asked = ConsumerGroupTopicPartitions(self._group(group), [KafkaPartition(*partition)])
        answer = self._admin.list_consumer_group_offsets([asked])[self._group(group)]
        (answered,) = (await asyncio.wrap_future(answer)).topic_partitions
        return None if answered.offset < 0 else int(answered.offset)

    async def commit(self, group: str, partition: TopicPartition, offset: int) -> None:
        at = KafkaPartition(*partition, offset)
        asked = ConsumerGroupTopicPartitions(self._group(group), [at])
        answer = self._admin.alter_consumer_group_offsets([asked])[self._group(group)]
        await asyncio.wrap_future(answer)

    def now(self) -> Millis:
        return self._clock.now()

    def source(
        self,
        group: str,
        pick: Pick,
        starts: StartPolicy = FROM_THE_START,
    ) -> Source:
        return KafkaSource(
            self._settings,
            self._group(group),
            protocol=self._protocol,
            instance_id=None,
            topics=pick,
            starts=starts,
            logger=self.logger,
            clock=self._clock,
        )

    def _group(self, name: str) -> str:
        return f"{self.prefix}.{name}"


def only(topic: str) -> Pick:
    """Pick one topic as soon as the brokers list it, which may be later than its creation is answered."""

    def pick(topics: Iterable[str]) -> list[str]:
        return [name for name in topics if name == topic]

    return pick


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
    """Keep taking and discarding records until a condition is true."""
    async with asyncio.timeout(seconds):
        while not condition():
            assert not await source.take(100)
