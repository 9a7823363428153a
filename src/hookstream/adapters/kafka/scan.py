"""Reads partitions outside any group: from offsets or times on, to an end that is fixed in advance.

A partition's position also follows the client's end-of-partition events: their offsets include
transaction markers, which are never returned as records. An end is a high watermark, not a last stable
offset, behind which an open transaction hides records.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition

from hookstream.adapters.kafka.client import (
    OFFSETS_GONE,
    TOPIC_GONE,
    ClientSettings,
    Properties,
    bounded,
    close_within,
    consumer_properties,
    kafka_error,
    opened,
    translated,
)
from hookstream.adapters.kafka.lookups import LOOKUPS, LogPosition, ask_offsets
from hookstream.adapters.kafka.offsets import place_of
from hookstream.adapters.kafka.record import record_of
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import Record, TopicPartition
from hookstream.errors import ConfigurationError, DependencyUnavailable
from hookstream.pipeline.ports import Logger

TOOLS_GROUP = "hookstream-tools"
"""A consumer needs a group's name even if it joins none; brokers may check the right to read it."""
_BATCH = 500
_POLL_SECONDS = 0.2
_CLOSE_SECONDS = 5.0
_PASSING = (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN)  # noqa: SLF001
"""The client reconnects automatically."""


class LogReader:
    """Reads partitions from given offsets, from `with` until its end. Blocks; for one thread.

    Args:
        client: librdkafka's settings.
        starts: The first offset of each partition. They are explicit, since the client takes half a
            second to find a log's start.
        group: The name that brokers check. No group is joined and nothing is committed.
        logger: Receives the client's log lines; None: they are dropped.
        properties: Further settings of librdkafka.
        notes_gone: Whether partitions whose next offset or topic is gone are noted in `gone`;
            otherwise `poll` raises.
    """

    def __init__(
        self,
        client: ClientSettings,
        starts: Mapping[TopicPartition, int],
        *,
        group: str = TOOLS_GROUP,
        logger: Logger | None = None,
        properties: Properties | None = None,
        notes_gone: bool = False,
    ) -> None:
        self.gone: set[TopicPartition] = set()
        """Partitions that cannot be read on from their position, until they are placed."""
        self._notes_gone = notes_gone
        self.at_end: set[TopicPartition] = set()
        """Partitions that were read to their last stable offset of that time."""
        self.next = dict(starts)
        """The next offset of each partition that is read."""
        wanted = consumer_properties(client, group, logger) | (properties or {})
        self._consumer = opened(Consumer, wanted | {"enable.partition.eof": True})
        self._consumer.assign([KafkaPartition(*at, offset) for at, offset in starts.items()])

    def __enter__(self) -> Self:
        """Begin to read."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the client, however the reading ended."""
        close_within(_CLOSE_SECONDS, self._consumer.close)

    def drop(self, at: TopicPartition) -> None:
        """Stop reading a partition."""
        del self.next[at]
        self.gone.discard(at)
        self.at_end.discard(at)
        self._consumer.incremental_unassign([KafkaPartition(*at)])

    def place(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read partitions from these offsets on, whether they are read already or not."""
        known = [KafkaPartition(*at) for at in positions if at in self.next]
        if known:
            self._consumer.incremental_unassign(known)
        self._consumer.incremental_assign(
            [KafkaPartition(*at, offset) for at, offset in positions.items()]
        )
        self.next.update(positions)
        self.gone.difference_update(positions)
        self.at_end.difference_update(positions)

    def stop_fetching(self) -> None:
        """Send no fetch requests until `resume_fetching`, and keep the connections.

        The client's own pause would do the same, but takes a quarter of a second to end.
        """
        self._consumer.incremental_unassign([KafkaPartition(*at) for at in self.next])

    def resume_fetching(self) -> None:
        """Read all partitions again from their positions."""
        self.at_end.clear()
        self._consumer.incremental_assign(
            [KafkaPartition(*at, offset) for at, offset in self.next.items()]
        )

    def skip_markers(self) -> bool:
        """Move `next` past transaction markers that the client has read; return whether any was moved.

        The client reports an end only after a fetch that found nothing, however long that waits. Not for
        a reader whose partitions are placed: the client's position may be the previous one.
        """
        moved = False
        for reached in self._consumer.position([KafkaPartition(*at) for at in self.next]):
            at = place_of(reached)
            if reached.offset > self.next[at]:
                self.next[at] = reached.offset
                moved = True
        return moved

    def poll(self, most: int = _BATCH, seconds: float = _POLL_SECONDS) -> list[Record] | None:
        """Wait for records and return the ready ones, moving `next`; None: nothing moved it.

        Args:
            most: The most records.
            seconds: How long to wait at most for the first.

        Raises:
            KafkaException: An error that lasts; its text names the topic.
        """
        first = self._consumer.poll(seconds)
        if first is None:
            return None
        records: list[Record] | None = None
        more = self._consumer.consume(most - 1, 0) if most > 1 else ()
        for message in (first, *more):
            error = message.error()
            at = TopicPartition(message.topic() or "", message.partition() or 0)
            if at not in self.next and at.partition >= 0:
                continue  # It was dropped. An error of a whole topic has no partition.
            if error is None:
                record = record_of(message)
                records = records or []
                records.append(record)
                self.next[at] = record.offset + 1
                self.at_end.discard(at)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
                records = records or []
                self.next[at] = max(self.next[at], message.offset() or 0)
                self.at_end.add(at)
            elif self._notes_gone and error.code() in OFFSETS_GONE | TOPIC_GONE:
                self.gone |= {each for each in self.next if each == at or _is_topic(at, each)}
            elif not (error.retriable() or error.code() in _PASSING):
                raise KafkaException(KafkaError(error.code(), f"{at.topic}: {error.str()}"))
        return records

    def batches(
        self, ends: Mapping[TopicPartition, int] | None, seconds: float
    ) -> Iterator[list[Record]]:
        """Yield the records below `ends` in batches, empty ones too, until each end is reached.

        Args:
            ends: The offset after the last record of each partition; None: continue without end.
            seconds: How long to wait at most without progress, if there are ends.

        Raises:
            KafkaException: An error that lasts.
            DependencyUnavailable: Nothing came in time.
        """
        waited = 0.0
        while ends is None or any(self.next.get(at, end) < end for at, end in ends.items()):
            asked_at = time.monotonic()
            records = self.poll()
            if records is not None:
                waited = 0.0
                if ends is not None and any(
                    self.next.get(at, end) > end for at, end in ends.items()
                ):
                    records = [each for each in records if each.offset < ends[each.where]]
                yield records
                continue
            # The time that the caller takes for a batch does not count.
            waited += time.monotonic() - asked_at
            if ends is not None and waited >= seconds:
                unread = {at.topic for at, end in ends.items() if self.next.get(at, end) < end}
                raise DependencyUnavailable(
                    f"{', '.join(sorted(unread))} was not read to its end: nothing came for"
                    f" {seconds:g} s"
                )


def _is_topic(at: TopicPartition, partition: TopicPartition) -> bool:
    """Return whether an error's place is the whole topic of a partition."""
    return at.partition < 0 and at.topic == partition.topic


class ScanBounds(NamedTuple):
    """The offsets that a partition has: from `start` up to, not including, `end`."""

    start: int
    end: int


@dataclass(slots=True, frozen=True)
class Stretch:
    """The part of a topic to read; bounds by time and by offset may be combined."""

    since: Millis | None = None
    """Records of this instant or later."""
    until: Millis | None = None
    """Records before this instant."""
    starts: Mapping[int, int] = field(default_factory=dict)
    """First offset by partition; a missing partition is read from the log's start."""
    ends: Mapping[int, int] | None = None
    """End offset by partition; None: all partitions to their present ends."""


@dataclass(slots=True)
class ReadLimit:
    """Limits how many offsets one reading reads, and records what it leaves out.

    The same share of each partition is read, its newest records. Offsets of transaction markers count.
    """

    most: int
    left_out: int = 0
    """Offsets of the stretch that are not read, all of them older than what is read of their partition."""
    _from: Millis | None = None
    _cut: set[TopicPartition] = field(default_factory=set)
    """Partitions with omitted records of which nothing was read yet."""

    @property
    def complete_from(self) -> Millis | None:
        """The instant from which on every record of the stretch is read.

        None: nothing is left out, or it is unknown, since nothing was read of some partition.
        """
        return None if self._cut else self._from

    def newest(
        self, spans: Mapping[TopicPartition, ScanBounds]
    ) -> dict[TopicPartition, ScanBounds]:
        """Return the part of each span to read."""
        total = sum(span.end - span.start for span in spans.values())
        if total <= self.most:
            return dict(spans)
        kept: dict[TopicPartition, ScanBounds] = {}
        for at, span in spans.items():
            share = (span.end - span.start) * self.most // total
            if share:
                kept[at] = ScanBounds(span.end - share, span.end)
            if span.start < span.end:
                self._cut.add(at)
        self.left_out += total - sum(span.end - span.start for span in kept.values())
        return kept

    def note(self, record: Record) -> None:
        """Note a record that was read."""
        if record.where in self._cut:
            self._cut.discard(record.where)
            self._from = max(self._from or 0, record.timestamp)


class LogScan:
    """Reads one topic, once or several times. Blocks; for one thread.

    Args:
        client: librdkafka's settings.
        topic: The topic.
        timeout: Seconds to wait at most while nothing comes.
    """

    def __init__(self, client: ClientSettings, topic: str, *, timeout: float = 30.0) -> None:
        self._client = client
        self._admin = LOOKUPS.client(client)
        self._topic = topic
        self._timeout = timeout

    def bounds(self) -> dict[int, ScanBounds]:
        """Return the offsets that every partition has now.

        Raises:
            ConfigurationError: There is no such topic, or it may not be read.
            DependencyUnavailable: The broker did not answer in time.
        """
        with _translating(self._topic):
            topics = self._admin.list_topics(self._topic, timeout=self._timeout).topics
            found = topics[self._topic]
            if found.error is not None:
                raise ConfigurationError(
                    f"{self._topic} cannot be read: {found.error.str()}. hookstream's own topics"
                    " are made by: hookstream topics apply"
                )
            starts = self._offsets(found.partitions, "earliest")
            ends = self._offsets(found.partitions, "latest")
            return {number: ScanBounds(starts[number], ends[number]) for number in sorted(ends)}

    def read(
        self,
        stretch: Stretch = Stretch(),
        *,
        follow: bool = False,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
        limit: ReadLimit | None = None,
    ) -> Iterator[Record]:
        """Yield the records of a stretch, by offset within each partition.

        Args:
            stretch: What to read.
            follow: Continue with records appended after the end, until the caller stops.
            progress: Called after each batch with how many offsets of how many were read.
            limit: Bounds the reading to the newest records; not with `follow`. None: everything.

        Raises:
            ConfigurationError: There is no such topic, or it may not be read.
            DependencyUnavailable: Nothing came in time although there is more.
        """
        with _translating(self._topic):
            spans = self._spans(stretch, follow=follow)
            if limit is not None:
                spans = limit.newest(spans)
            if not spans:
                return
            reading = _read(self._client, spans, self._timeout, progress, follow=follow)
            if limit is None and stretch.since is None and stretch.until is None:
                yield from reading
                return
            for record in reading:
                if limit is not None:
                    limit.note(record)
                if _within(record, stretch):
                    yield record

    def at(self, partition: int, offset: int) -> Record | None:
        """Return the record at an offset; None: the log does not have it (any more)."""
        here = Stretch(starts={partition: offset}, ends={partition: offset + 1})
        return next((r for r in self.read(here) if r.offset == offset), None)

    def oldest(self, partition: int) -> Record | None:
        """Return the oldest record that a partition still has; None: it has none or does not exist."""
        span = self.bounds().get(partition)
        if span is None:
            return None
        here = Stretch(starts={partition: span.start}, ends={partition: span.end})
        return next(iter(self.read(here)), None)

    def _offsets(self, partitions: Iterable[int], where: LogPosition | None) -> dict[int, int]:
        """Return the offset of a position in every partition; None: no offset."""
        if where is None:
            return {}
        places = [(self._topic, partition) for partition in partitions]
        what = f"the offsets of {self._topic}"
        found = ask_offsets(self._admin, places, where, self._timeout, what)
        return {at.partition: offset for at, offset in found.items()}

    def _spans(self, stretch: Stretch, *, follow: bool) -> dict[TopicPartition, ScanBounds]:
        """Return the offsets to read of each partition, without partitions that have nothing to read."""
        bounds = self.bounds()
        since = self._offsets(bounds, stretch.since)
        until = self._offsets(bounds, stretch.until)
        spans: dict[TopicPartition, ScanBounds] = {}
        for partition, (low, high) in bounds.items():
            end = high if stretch.ends is None else min(high, stretch.ends.get(partition, low))
            start = max(low, stretch.starts.get(partition, low), since.get(partition, low))
            end = min(end, until.get(partition, end))
            if start < end or follow:
                spans[TopicPartition(self._topic, partition)] = ScanBounds(start, end)
        return spans


def read_spans(
    client: ClientSettings,
    spans: Mapping[TopicPartition, ScanBounds],
    *,
    timeout: float = 30.0,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Iterator[Record]:
    """Yield the records between given offsets of several topics, by offset within each partition.

    Args:
        client: librdkafka's settings.
        spans: The offsets to read; an empty span is allowed.
        timeout: Seconds to wait at most while nothing comes.
        progress: Called after each batch with how many offsets of how many were read.

    Raises:
        ConfigurationError: A topic may not be read.
        DependencyUnavailable: Nothing came in time although there is more.
    """
    some = {at: span for at, span in spans.items() if span.start < span.end}
    if some:
        topics = ", ".join(sorted({at.topic for at in some}))
        with _translating(topics):
            yield from _read(client, some, timeout, progress, follow=False)


def read_within(
    client: ClientSettings, starts: Mapping[TopicPartition, int], seconds: float
) -> Iterator[Record]:
    """Yield the records appended from given offsets on, until a time has passed or the caller stops.

    Args:
        client: librdkafka's settings.
        starts: The first offset of each partition.
        seconds: How long; records that are ready by then are still yielded.

    Raises:
        ConfigurationError: A topic may not be read.
        DependencyUnavailable: A topic lost records meanwhile.
    """
    end = time.monotonic() + seconds
    with (
        _translating(", ".join(sorted({at.topic for at in starts}))),
        LogReader(client, starts) as log,
    ):
        while time.monotonic() < end:
            yield from log.poll() or ()


@contextmanager
def log_from(client: ClientSettings, starts: Mapping[TopicPartition, int]) -> Iterator[LogReader]:
    """Lend a reader of partitions from given offsets on.

    Raises:
        ConfigurationError: A topic may not be read.
        DependencyUnavailable: A topic lost records meanwhile.
    """
    with (
        _translating(", ".join(sorted({at.topic for at in starts}))),
        LogReader(bounded(client), starts) as log,
    ):
        yield log


def _read(
    client: ClientSettings,
    spans: Mapping[TopicPartition, ScanBounds],
    timeout: float,
    progress: Callable[[int, int], None],
    *,
    follow: bool,
) -> Iterator[Record]:
    ends = None if follow else {at: span.end for at, span in spans.items()}
    total = sum(span.end - span.start for span in spans.values())
    starts = {at: span.start for at, span in spans.items()}
    with LogReader(client if follow else bounded(client), starts) as log:
        for records in log.batches(ends, timeout):
            yield from records
            left = sum(max(0, span.end - log.next[at]) for at, span in spans.items())
            progress(total - left, total)


@contextmanager
def _translating(topics: str) -> Iterator[None]:
    try:
        yield
    except KafkaException as error:
        LOOKUPS.forget()
        if kafka_error(error).code() not in OFFSETS_GONE:
            raise translated(error, f"{topics} cannot be read") from error
        raise DependencyUnavailable(
            f"{topics} lost records to retention while it was read: try again"
        ) from error


def _within(record: Record, stretch: Stretch) -> bool:
    """Check the record too: in topics with producers' times, offsets do not order them."""
    if stretch.since is not None and record.timestamp < stretch.since:
        return False
    return stretch.until is None or record.timestamp < stretch.until
