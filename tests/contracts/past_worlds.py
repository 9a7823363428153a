"""The two worlds in which the past must be read alike: in memory, and on a real broker."""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from confluent_kafka import Producer
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from tests.doubles.jobs import JobsBroker, Process
from tests.doubles.past import PastCluster, PastOf, Txn

from hookstream.adapters.kafka.past import KafkaPast
from hookstream.adapters.system import SystemClock
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import TopicPartition
from hookstream.pipeline.past_ports import PastLog


class Upstream(Protocol):
    """A transaction of upstream's that is open."""

    async def end(self, *, commit: bool) -> None: ...


class PastWorld(Protocol):
    """A cluster, and what the suite does to it. All event topics have the world's prefix."""

    prefix: str
    past: PastLog

    async def create(self, topic: str, partitions: int = 1, **config: str) -> None: ...

    async def delete(self, topic: str) -> None: ...

    async def append(
        self, topic: str, values: Sequence[bytes], partition: int = 0, times: Sequence[Millis] = ()
    ) -> None: ...

    async def transaction(self, topic: str, values: Sequence[bytes]) -> Upstream: ...

    async def delete_before(self, at: TopicPartition, offset: int) -> None: ...

    def close(self) -> None: ...


class MemoryPast:
    """The double."""

    def __init__(self) -> None:
        self.prefix = "t."
        broker = JobsBroker()
        self.cluster = PastCluster(broker.clock)
        self.past: PastLog = PastOf(Process(broker), self.cluster)

    async def create(self, topic: str, partitions: int = 1, **config: str) -> None:
        del config
        self.cluster.create(topic, partitions)

    async def delete(self, topic: str) -> None:
        del self.cluster.topics[topic]

    async def append(
        self, topic: str, values: Sequence[bytes], partition: int = 0, times: Sequence[Millis] = ()
    ) -> None:
        stamps = times or [self.cluster.clock.now()] * len(values)
        for value, stamp in zip(values, stamps, strict=True):
            self.cluster.append(topic, value, stamp, partition)

    async def transaction(self, topic: str, values: Sequence[bytes]) -> Upstream:
        now = self.cluster.clock.now()
        offsets = [self.cluster.append(topic, value, now, state=Txn.OPEN) for value in values]
        return _MemoryUpstream(self.cluster, topic, offsets)

    async def delete_before(self, at: TopicPartition, offset: int) -> None:
        self.cluster.log(at).low = offset

    def close(self) -> None: ...


class _MemoryUpstream:
    def __init__(self, cluster: PastCluster, topic: str, offsets: Sequence[int]) -> None:
        self._cluster, self._topic, self._offsets = cluster, topic, offsets

    async def end(self, *, commit: bool) -> None:
        *others, last = self._offsets
        state = Txn.COMMITTED if commit else Txn.ABORTED
        for offset in others:
            self._cluster.log(TopicPartition(self._topic, 0)).entries[offset].state = state
        # One marker for all of them.
        self._cluster.end(self._topic, last, state)


class KafkaPastWorld:
    """A real broker."""

    def __init__(self, servers: str, prefix: str) -> None:
        self.prefix = f"{prefix}.events."
        self._client: Mapping[str, str | int | float | bool] = {"bootstrap.servers": servers}
        self._admin = AdminClient(dict(self._client))
        self._log = KafkaPast(self._client, self._ours, self._now)
        self.past: PastLog = self._log

    def _ours(self, names: Collection[str]) -> list[str]:
        return sorted(name for name in names if name.startswith(self.prefix))

    async def _now(self) -> Millis:
        return SystemClock().now()

    async def create(self, topic: str, partitions: int = 1, **config: str) -> None:
        settings = {"message.timestamp.type": "LogAppendTime"} | {
            name.replace("_", "."): value for name, value in config.items()
        }
        await asyncio.to_thread(self._create, NewTopic(topic, partitions, 1, config=settings))

    def _create(self, topic: Any) -> None:  # noqa: ANN401  the library has no type for it
        for made in self._admin.create_topics([topic]).values():
            made.result(30)
        while (
            self._admin.list_topics(topic.topic, timeout=10).topics[topic.topic].error is not None
        ):
            time.sleep(0.05)  # the broker answers before all of it knows the topic

    async def delete(self, topic: str) -> None:
        def delete() -> None:
            self._admin.delete_topics([topic])[topic].result(30)
            while topic in self._admin.list_topics(timeout=10).topics:
                time.sleep(0.05)

        await asyncio.to_thread(delete)

    async def append(
        self, topic: str, values: Sequence[bytes], partition: int = 0, times: Sequence[Millis] = ()
    ) -> None:
        def append() -> None:
            producer = Producer({**self._client, "linger.ms": 0, "log_level": 0})
            for number, value in enumerate(values):
                stamp = times[number] if times else 0  # 0: now
                producer.produce(topic, value, partition=partition, timestamp=stamp)
                if times and number % 3 == 0:
                    # Several batches, so that the index has more than one entry.
                    producer.flush(10)
            assert producer.flush(10) == 0

        await asyncio.to_thread(append)

    async def transaction(self, topic: str, values: Sequence[bytes]) -> Upstream:
        def begin() -> Producer:
            transactional = {"transactional.id": f"{topic}-{values[0].decode()}", "linger.ms": 0}
            producer = Producer({**self._client, **transactional, "log_level": 0})
            producer.init_transactions(10)
            producer.begin_transaction()
            for value in values:
                producer.produce(topic, value, partition=0)
            assert producer.flush(10) == 0
            return producer

        return _KafkaUpstream(await asyncio.to_thread(begin))

    async def delete_before(self, at: TopicPartition, offset: int) -> None:
        asked = KafkaPartition(*at, offset)
        await asyncio.to_thread(self._admin.delete_records([asked])[asked].result, 10)

    def close(self) -> None:
        self._log.close()


class _KafkaUpstream:
    def __init__(self, producer: Producer) -> None:
        self._producer = producer

    async def end(self, *, commit: bool) -> None:
        producer = self._producer
        end = producer.commit_transaction if commit else producer.abort_transaction
        await asyncio.to_thread(end, 10)
