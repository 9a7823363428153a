"""Reads the event topics again, outside any group: the `PastLog` of a cluster.

All calls of a client run on its own thread, one after another: a reader is closed on the thread that
polls it, however its task ended.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from hookstream.adapters.kafka.client import ClientSettings, admin_client, translated
from hookstream.adapters.kafka.lookups import LogPosition, ask_offsets, translating
from hookstream.adapters.kafka.scan import LogReader
from hookstream.adapters.kafka.topic_ids import topic_ids_of
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import TopicPartition
from hookstream.core.replay.extent import LogBounds
from hookstream.pipeline.past_ports import PastReader, PastTopic, Taken, TopicListing

_SECONDS: Final = 30.0
"""The longest wait for an answer of the brokers."""

T = TypeVar("T")


class KafkaPast:
    """The event topics of a cluster. Owned by one event loop; call `close` at its end.

    Args:
        client: librdkafka's settings.
        event_topics: Returns the event topics among the cluster's topics.
        now: Returns the time by the brokers' clock.
    """

    def __init__(
        self,
        client: ClientSettings,
        event_topics: Callable[[Collection[str]], Sequence[str]],
        now: Callable[[], Awaitable[Millis]],
    ) -> None:
        self._client = client
        self._event_topics = event_topics
        self._now = now
        self._admin: AdminClient | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="past")

    def close(self) -> None:
        """Start no further request."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def now(self) -> Millis:
        """As PastLog says."""
        return await self._now()

    async def topics(self) -> TopicListing:
        """As PastLog says."""
        return await self._run(self._listing)

    async def ids(self, topics: Collection[str]) -> Mapping[str, str | None]:
        """As PastLog says."""
        return await self._run(lambda: _ids(self._made(), topics))

    async def ends(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """As PastLog says."""
        return await self._run(lambda: self._offsets(partitions, "latest"))

    async def lows(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """As PastLog says."""
        return await self._run(lambda: self._offsets(partitions, "earliest"))

    async def firsts(
        self, partitions: Collection[TopicPartition], since: Millis
    ) -> Mapping[TopicPartition, int]:
        """As PastLog says."""
        return await self._run(lambda: self._offsets(partitions, since))

    async def logs(
        self, partitions: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, LogBounds]:
        """As PastLog says."""
        return await self._run(lambda: self._logs(partitions))

    @asynccontextmanager
    async def read(self, positions: Mapping[TopicPartition, int]) -> AsyncIterator[PastReader]:
        """As PastLog says."""
        thread = ThreadPoolExecutor(1, thread_name_prefix="past-reader")
        reader = KafkaPastReader(self._client, positions, thread)
        try:
            yield reader
        finally:
            # On the thread, behind a call that may still run there. Not awaited.
            thread.submit(reader.close)
            thread.shutdown(wait=False)

    # On the thread.

    async def _run(self, ask: Callable[[], T]) -> T:
        def asked() -> T:
            with translating("the event topics cannot be read", _SECONDS):
                return ask()

        return await asyncio.get_running_loop().run_in_executor(self._thread, asked)

    def _made(self) -> AdminClient:
        if self._admin is None:
            self._admin = admin_client(self._client)
        return self._admin

    def _listing(self) -> TopicListing:
        metadata = self._made().list_topics(timeout=_SECONDS)
        names = self._event_topics(metadata.topics)
        ids = _ids(self._made(), names)
        found = {}
        for name in names:
            partitions = metadata.topics[name].partitions.values()
            topic_id = ids[name]
            if topic_id is not None:
                replicas = max((len(each.replicas) for each in partitions), default=0)
                found[name] = PastTopic(topic_id, len(partitions), replicas)
        return TopicListing(len(metadata.brokers), found)

    def _offsets(
        self, partitions: Collection[TopicPartition], where: LogPosition
    ) -> dict[TopicPartition, int]:
        if not partitions:
            return {}
        return ask_offsets(
            self._made(), partitions, where, _SECONDS, "the offsets of the event topics"
        )

    def _logs(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, LogBounds]:
        ids = _ids(self._made(), {at.topic for at in partitions})
        there = [at for at in partitions if ids[at.topic] is not None]
        lows, highs = self._offsets(there, "earliest"), self._offsets(there, "latest")
        return {
            at: LogBounds(ids[at.topic], lows.get(at, 0), highs.get(at, 0)) for at in partitions
        }


class KafkaPastReader:
    """A `PastReader` over one consumer, whose memory is bounded over all of its partitions."""

    def __init__(
        self,
        client: ClientSettings,
        positions: Mapping[TopicPartition, int],
        thread: ThreadPoolExecutor,
    ) -> None:
        """Make every call of the client on `thread`, which has no other use."""
        self._client = client
        self._thread = thread
        self._starts = dict(positions)
        self._reader: LogReader | None = None

    async def take(self, most: int) -> Taken:
        """As PastReader says."""
        return await self._run(lambda reader: _take(reader, most))

    async def place(self, positions: Mapping[TopicPartition, int]) -> None:
        """As PastReader says."""
        await self._run(lambda reader: reader.place(positions))

    async def drop(self, partitions: Collection[TopicPartition]) -> None:
        """As PastReader says."""

        def drop(reader: LogReader) -> None:
            for at in partitions:
                reader.drop(at)

        await self._run(drop)

    def close(self) -> None:
        """Close the client, on its thread."""
        if self._reader is not None:
            self._reader.__exit__()

    async def _run(self, act: Callable[[LogReader], T]) -> T:
        def acted() -> T:
            try:
                if self._reader is None:
                    self._reader = LogReader(self._client, self._starts, notes_gone=True)
                return act(self._reader)
            except KafkaException as error:
                raise translated(error, "the event topics cannot be read") from error

        return await asyncio.get_running_loop().run_in_executor(self._thread, acted)


def _take(reader: LogReader, most: int) -> Taken:
    before = dict(reader.next)
    records = reader.poll(most)
    gone, at_end = frozenset(reader.gone), frozenset(reader.at_end)
    if records is None:
        return Taken(gone=gone, at_end=at_end)
    moved = {at: offset for at, offset in reader.next.items() if offset != before[at]}
    return Taken(records, moved, gone, at_end)


def _ids(admin: AdminClient, topics: Collection[str]) -> dict[str, str | None]:
    found = topic_ids_of(admin, topics)
    return {topic: None if each is None else each.hex() for topic, each in found.items()}
