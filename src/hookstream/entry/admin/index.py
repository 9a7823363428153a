"""Keeps an index of hookstream's topics: reads new records, and past ones with the newest hour first."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path

from hookstream.adapters.index.folder import Family
from hookstream.adapters.index.writer import IndexWriter, Log, ReadAgain
from hookstream.adapters.kafka.client import admin_client, lasting
from hookstream.adapters.kafka.groups import KafkaGroups
from hookstream.adapters.kafka.lookups import LogPosition, translating
from hookstream.adapters.kafka.scan import LogReader
from hookstream.adapters.kafka.topic_ids import topic_ids_of
from hookstream.adapters.system import SystemClock
from hookstream.core.model.instant import DAY, MINUTE, SECOND, Millis
from hookstream.core.model.listing import partition_ranges
from hookstream.core.model.record import Record, TopicPartition
from hookstream.core.offsets.group_position import GroupPosition
from hookstream.core.redrive.marks import RedriveSource
from hookstream.core.topology.plan import tier_topics
from hookstream.entry.admin.dead_letters import topic_of
from hookstream.entry.admin.index_past import StretchReading
from hookstream.entry.admin.index_reading import (
    RecordReader,
    Span,
    SpanBatch,
    SpansOfPartitions,
    spans_in_order,
    waiting_of,
    write_batch,
)
from hookstream.entry.admin.index_skips import SkippedRuns
from hookstream.entry.cluster import client_of
from hookstream.errors import DependencyUnavailable, HookstreamError
from hookstream.settings import Settings

_POLLED = 2_000
_ANSWER_SECONDS = 30.0
_LIVE_SECONDS = 0.2
"""How long a poll waits for new records, once all of the past is read."""
_FETCH_MILLIS = 250
"""How long a fetch of the present waits at most: so late it shows that everything was read, which is looked at
once a second."""
_BATCH = 5_000
"""Records are written at the latest when there are so many."""
_BATCH_SECONDS = 1.0
"""And when the oldest of them waits for so long."""
_LOOK_SECONDS = 1.0
"""The time between two looks at the retry group's commits."""
_LIST_SECONDS = 10.0
"""The time between two looks for new tiers and partitions."""
_PAUSE_SECONDS = 3.0
"""The pause before reading again, after the brokers did not answer."""
_CLOSED_AFTER: Millis = MINUTE
"""A span is whole when every partition was at its end so long after it."""
_OLDEST = {Family.ATTEMPTS: 8 * DAY, Family.ASIDE: 40 * DAY}
"""Nothing older is kept, whatever the topics have: each file more is one more to look into."""


class IndexFollower:
    """Follows the topics of a cluster into the files of a folder. Blocks; for one thread of one process.

    Args:
        settings: The cluster.
        folder: The index's folder.
        most_bytes: The most bytes of its files.
        log: Takes log lines.
        stopped: Whether to end; called before each piece of work.
        now: The present, by which hours end; None: the machine's clock.
    """

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        most_bytes: int,
        log: Log,
        stopped: Callable[[], bool],
        *,
        now: Callable[[], Millis] | None = None,
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._most_bytes = most_bytes
        self._log = log
        self._stopped = stopped
        self._now = now or SystemClock().now

    def run(self) -> None:
        """Follow until told to end; failures are logged, and retried every few seconds."""
        while not self._stopped():
            try:
                self._follow()
            except ReadAgain:
                continue
            except HookstreamError as error:
                self._log.warning("index.waiting", why=str(error))
                time.sleep(_PAUSE_SECONDS)

    def _follow(self) -> None:
        with ExitStack() as stack:
            writer = IndexWriter(self._folder, most_bytes=self._most_bytes, log=self._log)
            stack.callback(writer.close)
            reading = _Following(self._settings, writer, self._log, self._now)
            stack.callback(reading.close)
            reading.begin()
            while not self._stopped():
                reading.step()
            reading.flush()


class _Following:
    """One reading of the topics, until something fails."""

    def __init__(
        self, settings: Settings, writer: IndexWriter, log: Log, now: Callable[[], Millis]
    ) -> None:
        self._client = client_of(settings)
        self._admin = admin_client(self._client)
        self._topics = settings.topics_names
        self._writer = writer
        self._log = log
        self._now = now
        self._groups = KafkaGroups(self._client)
        self._records = RecordReader(settings)
        self._partitions: dict[Family, list[TopicPartition]] = {}
        self._tiers: list[TopicPartition] = []
        self._borders: dict[Family, tuple[Millis, dict[TopicPartition, int]]] = {}
        """The oldest span of each family that is read or planned, and the offsets at its start."""
        self._live: LogReader | None = None
        self._past: tuple[Span, StretchReading] | None = None
        self._exhausted: set[Family] = set()
        self._spans: SpansOfPartitions | None = None
        self._present: dict[Family, Millis] = {}
        self._batches: dict[Span, SpanBatch] = {}
        self._waiting: list[Record] = []
        self._since = 0.0
        self._last_ts: dict[TopicPartition, Millis] = {}
        self._live_from: dict[TopicPartition, int] = {}
        """The first offset of each tier partition whose records are of the present spans."""
        self._looked_at = self._listed_at = 0.0
        self._unled: set[TopicPartition] = set()
        """Partitions that are not read since no broker leads them: no span is complete meanwhile."""
        self._turn = 0
        self._unreadable = 0
        self._skips = SkippedRuns(self._client, self._topics, writer)

    def close(self) -> None:
        """Close the clients."""
        if self._live is not None:
            self._live.__exit__()
        if self._past is not None:
            self._past[1].close()

    def begin(self) -> None:
        """Find the positions at which to continue, and start.

        Raises:
            ReadAgain: The folder is of other topics, or damaged.
            DependencyUnavailable: The brokers do not answer.
        """
        counts = self._groups.topics()
        self._partitions = self._known(counts)
        self._tiers = [at for at in self._partitions[Family.ATTEMPTS] if self._is_tier(at)]
        self._same_topics()
        now = self._now()
        starts: dict[TopicPartition, int] = {}
        for family, partitions in self._partitions.items():
            start = family.start_of(now)
            self._writer.raise_floor(family, start - _OLDEST[family])
            border = self._led(partitions, start)
            self._present[family] = self._writer.present[family] = start
            self._borders[family] = start, border
            known = self._writer.begin(family, start)
            starts |= {at: max(known.get(at, 0), offset) for at, offset in border.items()}
        self._spans = SpansOfPartitions(self._records, self._present)
        starts |= self._tier_starts(starts)
        tables = [
            TopicPartition(name, 0) for name in (self._topics.jobs, self._topics.subscriptions)
        ]
        starts |= self._groups.offsets_at(tables, "earliest")
        border = self._borders[Family.ATTEMPTS][1]
        self._live_from = {at: border[at] for at in self._tiers if at in border}
        client = lasting(self._client, _FETCH_MILLIS)
        self._live = LogReader(client, starts, notes_gone=True)
        self._listed_at = time.monotonic()

    def step(self) -> None:
        """Read and write a bounded piece.

        Raises:
            ReadAgain: A file was damaged.
            DependencyUnavailable: The brokers do not answer.
        """
        live = self._live_reader()
        quiet = self._past is None and not self._is_unwritten
        polled_at = self._now()
        with translating("reading hookstream's topics", _ANSWER_SECONDS):
            records = live.poll(_POLLED, _LIVE_SECONDS if quiet else 0.02)
        for record in records or ():
            self._take(record)
        if live.gone:
            # Retention removed the next record to read, or the topic was deleted.
            self._same_topics()
            live.place(self._groups.led_offsets_at([*live.gone], "earliest"))
        waited = time.monotonic() - self._since
        if self._count() >= _BATCH or (self._is_unwritten and waited >= _BATCH_SECONDS):
            self.flush()
        self._turn += 1
        if not records or self._turn % 5 == 0:
            self._read_past()
        if time.monotonic() - self._looked_at >= _LOOK_SECONDS:
            self._look(polled_at)

    def flush(self) -> None:
        """Write the records that were read."""
        for span in spans_in_order(self._batches):
            self._writer.begin(*span)
            write_batch(self._writer, span, self._batches[span], self._topics.attempts)
        self._batches.clear()
        if self._waiting:
            positions = {each.where: each.offset + 1 for each in self._waiting}
            self._writer.waiting(map(waiting_of, self._waiting), positions)
            self._waiting.clear()

    # Where to read.

    def _led(
        self, partitions: Sequence[TopicPartition], where: LogPosition
    ) -> dict[TopicPartition, int]:
        """Return the offset of a position in each partition; `_unled` takes those that no broker leads."""
        found = self._groups.led_offsets_at(partitions, where)
        unled = [at for at in partitions if at not in found]
        if unled:
            self._unled.update(unled)
            self._log.warning("index.leaderless", partitions=partition_ranges(unled, 5))
        return found

    def _settle(self) -> tuple[list[GroupPosition], dict[TopicPartition, int]]:
        """Remove what workers settled; return their positions, and where tiers are to be read again."""
        found = self._groups.positions(self._topics.retry_group, self._tiers, oldest=False)
        positions = [each for each in found if each.has_leader]
        return positions, self._writer.settle(positions)

    def _same_topics(self) -> None:
        """Discard the index if it is of topics that were deleted and created again.

        Raises:
            ReadAgain: It is, or a topic is new whose marks, and those of a deleted one of its name, were read.
        """
        topics = self._topics
        kept = self._writer.now.state("topics")
        known = _read_ids(kept if isinstance(kept, str) else "")
        names = {at.topic for partitions in self._partitions.values() for at in partitions}
        sources = {topic_of(source, topics): source for source in RedriveSource}
        ids = topic_ids_of(self._admin, sorted({topics.jobs, *names, *known, *sources}))
        # A topic that does not exist, or not yet, was not created again.
        found = {name: each.hex() for name, each in ids.items() if each}
        others = [name for name, each in found.items() if known.get(name, each) != each]
        if others:
            why = f"{', '.join(sorted(others))} was deleted and created again"
            self._log.warning("index.deleted", why=why)
            self._writer.close()
            for family in Family:
                for file in self._writer.folder.files(family):
                    file.unlink()
            self._writer.folder.unlink_now()
            raise ReadAgain
        before = self._writer.topic_ids
        given = {source: found[name] for name, source in sources.items() if name in found}
        self._writer.topic_ids = {**before, **given}
        if not found.keys() <= known.keys():
            self._writer.now.put_state({"topics": _written_ids(known | found)})
        if self._live is not None and not given.keys() <= before.keys():
            raise ReadAgain

    def _known(self, counts: dict[str, int]) -> dict[Family, list[TopicPartition]]:
        topics = self._topics
        families = {
            Family.ATTEMPTS: [topics.attempts, *tier_topics(topics, counts)],
            Family.ASIDE: [topics.dead_letters, topics.undecodable, topics.operations],
        }
        return {
            family: [
                TopicPartition(name, at) for name in names for at in range(counts.get(name, 0))
            ]
            for family, names in families.items()
        }

    def _is_tier(self, at: TopicPartition) -> bool:
        return at.topic != self._topics.attempts

    def _tier_starts(self, starts: dict[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Return the start positions of tiers: no later than the first unsettled record."""
        positions, again = self._settle()
        read = self._writer.now.positions()
        found: dict[TopicPartition, int] = {}
        for each in positions:
            if each.at in self._unled:
                continue
            known = again.get(each.at, read.get(each.at, 0))
            found[each.at] = min(starts[each.at], max(known, each.unread_from), each.end)
        return found

    # The present.

    def _live_reader(self) -> LogReader:
        if self._live is None or self._spans is None:
            raise DependencyUnavailable("nothing is read yet")
        return self._live

    def _take(self, record: Record) -> None:
        if record.topic == self._topics.jobs:
            self._writer.mark((record.key or b"").decode(errors="replace"), record.value)
            return
        if record.topic == self._topics.subscriptions:
            self._skips.take(record)
            return
        if not self._is_unwritten:
            self._since = time.monotonic()
        self._last_ts[record.where] = record.timestamp
        if self._is_tier(record.where) and self._topics.delay_of(record.topic) is not None:
            self._waiting.append(record)
            if record.offset < self._start_of_present(record.where):
                return  # What it says of its run is read with its hour.
        span = None if self._spans is None else self._spans.of(record)
        if span is not None:
            self._records.add(record, self._batches.setdefault(span, SpanBatch()))

    def _start_of_present(self, at: TopicPartition) -> int:
        return self._live_from.get(at, 0)

    @property
    def _is_unwritten(self) -> bool:
        """Whether any read record is not written yet."""
        return bool(self._batches or self._waiting)

    def _count(self) -> int:
        return sum(batch.records for batch in self._batches.values()) + len(self._waiting)

    def _look(self, polled_at: Millis) -> None:
        """Look at the workers' commits, close completed spans, and note how far everything was read."""
        self._looked_at = time.monotonic()
        if self._looked_at - self._listed_at >= _LIST_SECONDS:
            self._listed_at = self._looked_at
            self._find_new()
        live = self._live_reader()
        _, again = self._settle()
        again = {at: offset for at, offset in again.items() if at not in self._unled}
        if again:
            self._waiting = [each for each in self._waiting if each.where not in again]
            live.place(again)
        self._close_spans(live, polled_at)
        read_to = self._read_to(live, polled_at)
        is_building = len(self._exhausted) < len(Family) or bool(self._unled)
        if self._skips.due(read_to) and not is_building:
            self.flush()
            self._skips.apply(read_to)
        self._writer.read_up_to(
            {
                "read_to": read_to,
                "beat": self._now(),
                "building": int(is_building),
            }
        )
        self._writer.maintain()
        if self._records.unreadable > self._unreadable:
            self._unreadable = self._records.unreadable
            self._log.warning(
                "index.unreadable", records=self._unreadable, last=self._records.why_unreadable
            )

    def _read_to(self, live: LogReader, polled_at: Millis) -> Millis:
        behind = [
            self._last_ts.get(at, self._present[family])
            for family, partitions in self._partitions.items()
            for at in partitions
            if at not in live.at_end
        ]
        unwritten = (
            [polled_at - int(_BATCH_SECONDS * SECOND)] if self._is_unwritten else [polled_at]
        )
        return min(behind + unwritten)

    def _close_spans(self, live: LogReader, now: Millis) -> None:
        """Begin the spans that have begun, and complete those that every partition has left."""
        for family, partitions in self._partitions.items():
            while (following := self._present[family] + family.span) <= now:
                over = now >= following + _CLOSED_AFTER
                if self._unled or not all(
                    self._has_left(live, at, following, over=over) for at in partitions
                ):
                    self._writer.begin(family, following)
                    break
                self.flush()
                self._writer.begin(family, following)
                self._writer.complete(family, self._present[family])
                self._present[family] = self._writer.present[family] = following
                self._writer.raise_floor(family, following - _OLDEST[family])

    def _has_left(
        self, live: LogReader, at: TopicPartition, following: Millis, *, over: bool
    ) -> bool:
        reached = None if self._spans is None else self._spans.at(at)
        return (reached is not None and reached >= following) or (over and at in live.at_end)

    def _find_new(self) -> None:
        """Begin to read partitions that were added, and tiers that are new.

        Raises:
            ReadAgain: A topic was deleted and made again, or a partition has a leader again.
        """
        if self._unled and self._groups.led_offsets_at([*self._unled], "earliest"):
            raise ReadAgain
        live = self._live_reader()
        try:
            self._same_topics()
        except DependencyUnavailable:
            return  # The next look is in ten seconds.
        partitions = self._known(self._groups.topics())
        fresh = [
            at
            for at in chain.from_iterable(partitions.values())
            if at not in live.next and at not in live.gone and at not in self._unled
        ]
        if fresh:
            self._partitions = partitions
            self._tiers = [at for at in partitions[Family.ATTEMPTS] if self._is_tier(at)]
            live.place(self._groups.led_offsets_at(fresh, "earliest"))

    # The past.

    def _read_past(self) -> None:
        """Read a piece of the newest span of the past that is not known."""
        if self._past is None:
            self._past = self._next_past()
            if self._past is None:
                return
        span, reading = self._past
        batch = SpanBatch()
        for record in reading.piece():
            self._records.add(record, batch)
        batch.positions |= reading.positions
        if batch.positions:
            write_batch(self._writer, span, batch, self._topics.attempts)
        if reading.is_over:
            if not self._unled:
                self._writer.complete(*span)
            reading.close()
            self._past = None

    def _next_past(self) -> tuple[Span, StretchReading] | None:
        """Begin to read the newest span of the past that is not complete, of both families in turn."""
        for family in sorted(
            self._borders, key=lambda family: self._borders[family][0], reverse=True
        ):
            while family not in self._exhausted:
                start, ends = self._borders[family]
                if not self._has_older(family, ends):
                    self._exhausted.add(family)
                    # What retention took meanwhile is kept, as far as it is whole.
                    if not self._unled and not self._writer.is_complete(
                        family, start - family.span
                    ):
                        self._writer.raise_floor(family, start)
                    break
                earlier = start - family.span
                if earlier < self._writer.floors[family]:
                    self._exhausted.add(family)
                    break
                border = self._led([*ends], earlier)
                self._borders[family] = earlier, border
                if self._writer.is_complete(family, earlier):
                    continue
                known = self._writer.begin(family, earlier)
                starts = {at: max(known.get(at, 0), offset) for at, offset in border.items()}
                ends = {at: ends[at] for at in starts}
                return (family, earlier), StretchReading(self._client, starts, ends, self._groups)
        return None

    def _has_older(self, family: Family, before: dict[TopicPartition, int]) -> bool:
        """Return whether a family's main topics have records before these offsets."""
        main = [at for at in before if family is Family.ASIDE or not self._is_tier(at)]
        starts = self._led(main, "earliest")
        return any(start < before[at] for at, start in starts.items())


def _read_ids(text: str) -> dict[str, str]:
    """Return the ids of topics by their names, as they are kept."""
    return {
        name: each for part in text.split(",") for name, _, each in [part.partition(":")] if each
    }


def _written_ids(ids: Mapping[str, str]) -> str:
    """Return ids of topics as they are kept; no name has a comma or a colon."""
    return ",".join(f"{name}:{each}" for name, each in sorted(ids.items()))
