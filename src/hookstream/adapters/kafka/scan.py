"""Reads a stretch of a topic for a tool: bounded by offsets or times, in no group, committing nothing.

The end is fixed before the reading begins, so a topic that keeps growing is read once and not for
ever; only `follow` goes on.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
)
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # OffsetSpec is public
    AdminClient,
    OffsetSpec,
)

from hookstream.adapters.kafka.client import (
    EARLIEST,
    LATEST,
    ClientSettings,
    admin_client,
    ask_offsets,
    bounded,
    close_within,
    kafka_error,
    onlooker_properties,
    opened,
    translated,
)
from hookstream.adapters.kafka.record import record_of
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import Record
from hookstream.errors import ConfigurationError, DependencyUnavailable

_BATCH = 500
_POLL_SECONDS = 0.2
_CLOSE_SECONDS = 5.0


Offsets: TypeAlias = dict[int, int]
"""By partition."""


class ScanBounds(NamedTuple):
    """What a partition holds: from `start` up to, not including, `end`."""

    start: int
    end: int


@dataclass(slots=True, frozen=True)
class Stretch:
    """What of a topic is to be read; both kinds of bound may be given."""

    since: Millis | None = None
    """Records of this instant or later."""
    until: Millis | None = None
    """Records before this instant."""
    starts: Mapping[int, int] = field(default_factory=dict)
    """First offset by partition; partitions that are missing begin where the log does."""
    ends: Mapping[int, int] | None = None
    """Offset by partition up to which is read; None: all partitions to their present ends."""


class LogScan:
    """Reads one topic, once or several times. Blocks; for one thread.

    Args:
        client: librdkafka's settings.
        topic: The topic.
        timeout: Seconds to wait at most while nothing comes.
    """

    def __init__(self, client: ClientSettings, topic: str, *, timeout: float = 30.0) -> None:
        self._client = client
        self._topic = topic
        self._timeout = timeout

    def bounds(self) -> dict[int, ScanBounds]:
        """Return what every partition holds now.

        Raises:
            ConfigurationError: There is no such topic, or it may not be read.
            DependencyUnavailable: The broker did not answer in time.
        """
        admin = admin_client(self._client)
        try:
            found = admin.list_topics(self._topic, timeout=self._timeout).topics[self._topic]
            if found.error is not None:
                raise ConfigurationError(
                    f"{self._topic} cannot be read: {found.error.str()}. hookstream's own topics"
                    " are made by: hookstream topics apply"
                )
            starts = self._offsets(admin, found.partitions, EARLIEST)
            ends = self._offsets(admin, found.partitions, LATEST)
        except KafkaException as error:
            raise self._translated(error) from error
        return {
            partition: ScanBounds(starts[partition], ends[partition]) for partition in sorted(ends)
        }

    def read(
        self,
        stretch: Stretch = Stretch(),
        *,
        follow: bool = False,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> Iterator[Record]:
        """Yield the records of a stretch, by offset within each partition.

        Args:
            stretch: What to read.
            follow: Go on with what is appended after the end, until the caller stops.
            progress: Told after each batch how many offsets of how many are behind.

        Raises:
            ConfigurationError: There is no such topic, or it may not be read.
            DependencyUnavailable: Nothing came in time although there is more.
        """
        bounds = self.bounds()
        consumer = self._consumer(self._client if follow else bounded(self._client))
        try:
            spans = self._spans(consumer, bounds, stretch, follow=follow)
            if spans:
                yield from self._scan(consumer, spans, stretch, follow=follow, progress=progress)
        except KafkaException as error:
            raise self._translated(error) from error
        finally:
            close_within(_CLOSE_SECONDS, consumer.close)

    def at(self, partition: int, offset: int) -> Record | None:
        """Return the record at an offset, or None where the log does not hold it (any more)."""
        here = Stretch(starts={partition: offset}, ends={partition: offset + 1})
        return next((r for r in self.read(here) if r.offset == offset), None)

    # The parts of a reading.

    def _consumer(self, client: ClientSettings) -> Consumer:
        return opened(Consumer, onlooker_properties(client), self._client)

    def _offsets(self, admin: AdminClient, partitions: Iterable[int], spec: OffsetSpec) -> Offsets:
        """Return an offset of every partition, open transactions included."""
        asked = {(self._topic, partition): spec for partition in partitions}
        found = ask_offsets(admin, asked, self._timeout, f"the offsets of {self._topic}")
        return {partition: offset for (_, partition), offset in found.items()}

    def _spans(
        self,
        consumer: Consumer,
        bounds: Mapping[int, ScanBounds],
        stretch: Stretch,
        *,
        follow: bool,
    ) -> dict[int, ScanBounds]:
        """Return what is to be read of each partition; those with nothing to read are left out."""
        since = self._offsets_at(consumer, bounds, stretch.since)
        until = self._offsets_at(consumer, bounds, stretch.until)
        spans: dict[int, ScanBounds] = {}
        for partition, (low, high) in bounds.items():
            end = high if stretch.ends is None else min(high, stretch.ends.get(partition, low))
            start = max(low, stretch.starts.get(partition, low), since.get(partition, low))
            end = min(end, until.get(partition, end))
            if start < end or follow:
                spans[partition] = ScanBounds(start, end)
        return spans

    def _offsets_at(
        self, consumer: Consumer, bounds: Mapping[int, ScanBounds], instant: Millis | None
    ) -> dict[int, int]:
        """Return each partition's first offset at an instant or later, its end where there is none."""
        if instant is None:
            return {}
        asked = [KafkaPartition(self._topic, partition, instant) for partition in bounds]
        found = consumer.offsets_for_times(asked, timeout=self._timeout)
        return {
            at.partition: bounds[at.partition].end if at.offset < 0 else at.offset for at in found
        }

    def _scan(
        self,
        consumer: Consumer,
        spans: Mapping[int, ScanBounds],
        stretch: Stretch,
        *,
        follow: bool,
        progress: Callable[[int, int], None],
    ) -> Iterator[Record]:
        consumer.assign([KafkaPartition(self._topic, p, span.start) for p, span in spans.items()])
        stood = {partition: span.start for partition, span in spans.items()}
        total = sum(span.end - span.start for span in spans.values())
        patience = idle = round(self._timeout / _POLL_SECONDS)
        while follow or any(stood[partition] < span.end for partition, span in spans.items()):
            batch = self._batch(consumer, stood)
            idle = patience if batch is not None else idle - 1
            if idle <= 0 and not follow:
                raise DependencyUnavailable(
                    f"{self._topic} was not read to its end: nothing came for {self._timeout:g} s"
                )
            for record in batch or ():
                wanted = follow or record.offset < spans[record.partition].end
                if wanted and _within(record, stretch):
                    yield record
            behind = sum(min(stood[p], span.end) - span.start for p, span in spans.items())
            progress(behind, total)

    def _batch(self, consumer: Consumer, stood: dict[int, int]) -> list[Record] | None:
        """Return what is ready, moving `stood` on; None: nothing came and nothing moved."""
        first = consumer.poll(_POLL_SECONDS)
        if first is None:
            return None
        records: list[Record] = []
        for message in (first, *consumer.consume(_BATCH - 1, 0)):
            error = message.error()
            partition = message.partition() or 0
            if error is None:
                record = record_of(message)
                records.append(record)
                stood[partition] = record.offset + 1
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
                stood[partition] = max(stood[partition], message.offset() or 0)
            elif not error.retriable():
                raise KafkaException(error)
        return records

    def _translated(self, error: KafkaException) -> Exception:
        gone = (KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET)  # noqa: SLF001
        if kafka_error(error).code() in gone:
            return DependencyUnavailable(
                f"{self._topic} lost records to retention while it was read: try again"
            )
        return translated(error, f"{self._topic} cannot be read")


def _within(record: Record, stretch: Stretch) -> bool:
    """Judge by the record too: where topics keep producers' times, offsets do not order them."""
    if stretch.since is not None and record.timestamp < stretch.since:
        return False
    return stretch.until is None or record.timestamp < stretch.until
