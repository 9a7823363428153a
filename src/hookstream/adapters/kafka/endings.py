"""Follows the audit log for the ends of one run's deliveries.

Audit records have the subscription's id as their key, so all of a subscription are in one partition, and
only that one is read. If partitions were added, later records are in another one, and both are read. If
workers' producers have a configured partitioner, all partitions are read.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Final

from confluent_kafka.admin import AdminClient

from hookstream.adapters.kafka.client import ClientSettings, admin_client
from hookstream.adapters.kafka.key_partition import partition_of_key
from hookstream.adapters.kafka.lookups import LogPosition, ask_offsets, translating
from hookstream.adapters.kafka.scan import LogReader
from hookstream.core.model.record import Record, TopicPartition
from hookstream.core.replay.outstanding import Place
from hookstream.errors import ConfigurationError
from hookstream.pipeline.past_ports import Ended
from hookstream.pipeline.ports import Clock

_SECONDS: Final = 30.0
_MOST: Final = 5_000
"""The most audit records that one call reads."""
_AT_ONCE: Final = 50
"""Audit records that are decoded in one burst."""
_COUNTED_EVERY: Final = 30.0
"""Seconds after which the topic's partitions are counted again."""


@asynccontextmanager
async def followed(
    client: ClientSettings,
    topic: str,
    key: bytes,
    ended: Callable[[Record], Place | None],
    positions: Mapping[int, int] | None,
    clock: Clock,
) -> AsyncIterator["KafkaEndings"]:
    """Follow the audit log.

    Args:
        client: librdkafka's settings.
        topic: The attempts topic.
        key: The key of the records that matter.
        ended: Returns the place of the delivery that a record with that key ends; None: it ends none.
        positions: Where to begin, by partition; None: at the present end.
        clock: Measures when the partitions are counted again.
    """
    thread = ThreadPoolExecutor(1, thread_name_prefix="endings")
    endings = KafkaEndings(client, topic, key, ended, positions, clock, thread)
    try:
        yield endings
    finally:
        # On the thread, behind a call that may still run there. Not awaited.
        thread.submit(endings.close)
        thread.shutdown(wait=False)


class KafkaEndings:
    """An `Endings` over one consumer, all of whose calls are made on one thread."""

    def __init__(
        self,
        client: ClientSettings,
        topic: str,
        key: bytes,
        ended: Callable[[Record], Place | None],
        positions: Mapping[int, int] | None,
        clock: Clock,
        thread: ThreadPoolExecutor,
    ) -> None:
        """See `followed`."""
        self._client = client
        self._topic = topic
        self._key = key
        self._ended = ended
        self._positions = positions
        self._clock = clock
        self._thread = thread
        self._admin: AdminClient | None = None
        self._reader: LogReader | None = None
        self._counted_at = 0.0
        self._partitions = 0

    async def take(self) -> Ended:
        """As Endings says."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._take)

    def close(self) -> None:
        """Close the client, on its thread."""
        if self._reader is not None:
            self._reader.__exit__()

    def _take(self) -> Ended:
        with translating(f"{self._topic} cannot be read", _SECONDS):
            reader = self._opened()
            places: set[Place] = set()
            read, gap = 0, False
            while read < _MOST:
                records = reader.poll(_AT_ONCE, seconds=0)
                began = time.monotonic()
                gap |= self._resume(reader)
                if records is None:
                    break
                read += len(records)
                for record in records:
                    place = self._ended(record) if record.key == self._key else None
                    if place is not None:
                        places.add(place)
                if len(records) >= _AT_ONCE:
                    # In bursts, like all work of an executor (`pipeline/bursts.py`).
                    time.sleep(time.monotonic() - began)
        positions = {at.partition: offset for at, offset in reader.next.items()}
        return Ended(places, positions, gap)

    def _opened(self) -> LogReader:
        now = self._clock.monotonic()
        if self._reader is None:
            self._partitions, self._counted_at = self._count(), now
            self._reader = LogReader(self._client, self._starts(), notes_gone=True)
        elif now - self._counted_at >= _COUNTED_EVERY:
            before, self._partitions = self._partitions, self._count()
            self._counted_at = now
            if self._partitions != before:
                new = [n for n in self._followed() if self._at(n) not in self._reader.next]
                self._reader.place(self._offsets(new, "earliest"))
        return self._reader

    def _starts(self) -> dict[TopicPartition, int]:
        known = self._positions
        if known is None:
            return self._offsets(self._followed(), "latest")
        # Partitions that were added are read from their beginning.
        new = [number for number in self._followed() if number not in known]
        found = self._offsets(new, "earliest")
        return found | {self._at(number): offset for number, offset in known.items()}

    def _followed(self) -> list[int]:
        if "partitioner" in self._client:
            return list(range(self._partitions))
        return [partition_of_key(self._key, self._partitions)]

    def _resume(self, reader: LogReader) -> bool:
        """Continue at the log's start if retention deleted records; return whether it did."""
        gone = [at.partition for at in reader.gone]
        lows, highs = self._offsets(gone, "earliest"), self._offsets(gone, "latest")
        lost = {at: low for at, low in lows.items() if not low <= reader.next[at] <= highs[at]}
        reader.place({at: lost.get(at, reader.next[at]) for at in lows})
        return bool(lost)

    def _count(self) -> int:
        found = self._admin_client().list_topics(self._topic, timeout=_SECONDS).topics[self._topic]
        if found.error is not None:
            raise ConfigurationError(
                f"{self._topic} cannot be read: {found.error.str()}. hookstream's own topics are"
                " made by: hookstream topics apply"
            )
        return len(found.partitions)

    def _offsets(self, numbers: list[int], where: LogPosition) -> dict[TopicPartition, int]:
        if not numbers:
            return {}
        places = [self._at(number) for number in numbers]
        return ask_offsets(
            self._admin_client(), places, where, _SECONDS, f"the offsets of {self._topic}"
        )

    def _at(self, number: int) -> TopicPartition:
        return TopicPartition(self._topic, number)

    def _admin_client(self) -> AdminClient:
        if self._admin is None:
            self._admin = admin_client(self._client)
        return self._admin
