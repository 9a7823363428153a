"""Reads a page from the log itself, for a reader that is behind what the shared tail has."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from hookstream.core.matching.directory import Directory, asks_for
from hookstream.core.model.hold import HoldKind
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import Record, TopicPartition
from hookstream.core.model.subscription import Partner, Subscription
from hookstream.core.pull.cursor import Cursor
from hookstream.core.pull.page import (
    MOST_PAGE_BYTES,
    Busy,
    GapReason,
    PulledEvent,
    PullGap,
    SkippedEvent,
    WaitReason,
)
from hookstream.core.pull.resumption import (
    KnownTopic,
    Reading,
    Resumption,
    begins_behind,
    first_offset,
    found_again,
    is_asked_at,
    resumed_at,
)
from hookstream.pipeline.pull.event_reading import (
    CannotBeRead,
    EventReader,
    ReadEvent,
    RecordRead,
    SchemaUnknown,
    Unasked,
)
from hookstream.pipeline.pull.ports import PullPorts, PullRules
from hookstream.pipeline.pull.reader_pool import PooledReader, ReaderPool
from hookstream.pipeline.pull.rendering import PullRenderer, Shown

_AT_ONCE: Final = 500
"""Records that are taken at once."""
_FIRST_SECONDS: Final = 3.0
"""How long the first record is waited for. A reader's connections may have to be made first."""
LISTED_FOR: Final = 10.0
"""Seconds for which a list of the topics counts, as for workers."""


@dataclass(slots=True)
class PullPiece:
    """What was read for one page."""

    cursor: Cursor
    gaps: list[PullGap] = field(default_factory=list)
    entries: list[PulledEvent | SkippedEvent] = field(default_factory=list)
    has_more: bool = False
    waits: set[WaitReason] = field(default_factory=set)
    bytes: int = 0
    read: int = 0
    """Records that were read for this page alone."""

    def add(self, shown: Shown) -> None:
        """Add an entry, if there is one."""
        if shown is not None:
            self.entries.append(shown)
            if isinstance(shown, PulledEvent):
                self.bytes += len(shown.body)

    def note_gap(self, reason: GapReason) -> None:
        """Note that events may be missing, once for each reason."""
        if PullGap(reason) not in self.gaps:
            self.gaps.append(PullGap(reason))

    @property
    def is_worth_showing(self) -> bool:
        """Whether a reader that would wait is answered at once."""
        return bool(self.entries or self.gaps or self.has_more)

    def has(self, limit: int) -> bool:
        """Return whether it has as many entries, or bytes, as a page may have."""
        return len(self.entries) >= limit or self.bytes >= MOST_PAGE_BYTES


class TopicNames:
    """The event topics with their ids, asked for every ten seconds."""

    def __init__(self, ports: PullPorts) -> None:
        """Know none yet."""
        self._log = ports.log
        self._clock = ports.clock
        self._listed_at = float("-inf")
        self._topics: Mapping[str, KnownTopic] = {}

    async def listed(self, *, fresh: bool = False) -> Mapping[str, KnownTopic]:
        """Return the topics, as they are now if `fresh`, or as they were some seconds ago."""
        if fresh or self._clock.monotonic() - self._listed_at > LISTED_FOR:
            asked_at = self._clock.monotonic()
            listing = await self._log.topics()
            self._topics = {
                name: KnownTopic(topic.topic_id, topic.partitions)
                for name, topic in listing.topics.items()
                if topic.topic_id
            }
            self._listed_at = asked_at
        return self._topics


class LogPages:
    """Reads pages from the log by pooled readers."""

    def __init__(
        self,
        ports: PullPorts,
        rules: PullRules,
        names: TopicNames,
        events: EventReader,
        renderer: PullRenderer,
    ) -> None:
        """Share the list of topics with the tail."""
        self._log = ports.log
        self._clock = ports.clock
        self._directory: Directory = ports.directory
        self._rules = rules
        self._names = names
        self._events = events
        self._renderer = renderer
        self._pool = ReaderPool(ports.log, rules.readers)

    async def close(self) -> None:
        """Close the readers."""
        await self._pool.close()

    async def tidy(self) -> None:
        """Close readers that are not needed; never returns."""
        await self._pool.tidy()

    async def end(self, active_from: Millis) -> Cursor:
        """Return the cursor of a reader that wants only what is appended from now on."""
        topics = await self._names.listed(fresh=True)
        found = resumed_at(None, topics)
        ends = await self._log.ends(found.unread)
        ids = {name: topic.topic_id for name, topic in topics.items()}
        return Reading(dict(ends), ids).cursor(active_from)

    async def read(
        self,
        subscription: Subscription,
        partner: Partner | None,
        cursor: Cursor | None,
        limit: int,
    ) -> PullPiece | Busy:
        """Read on behind a cursor, within the bounds of one answer.

        Args:
            subscription: The subscription, as the table has it.
            partner: Its partner's row.
            cursor: The reader's position; None: it has read nothing.
            limit: The most entries, gaps apart.

        Raises:
            ConfigurationError: The topics may not be read.
            DependencyUnavailable: The brokers fail.
        """
        partner_id = subscription.partner_id
        async with self._pool.turn(partner_id, subscription.id) as reader:
            if isinstance(reader, Busy):
                return reader
            piece = PullPiece(Cursor(subscription.active_from))
            reading = await self._begun(subscription, cursor, piece)
            page = _Page(subscription, partner, piece, reading, limit)
            if reading.positions:
                await reader.go_to(reading.positions)
                await self._fill(reader, page)
                if not await self._is_of_these_topics(page):
                    # The reader stood in topics that were created again: nothing of it counts.
                    await self._names.listed(fresh=True)
                    again = cursor or Cursor(subscription.active_from)
                    return PullPiece(again, has_more=True, read=piece.read)
            piece.cursor = reading.cursor(subscription.active_from)
            return piece

    async def _begun(
        self, subscription: Subscription, cursor: Cursor | None, piece: PullPiece
    ) -> Reading:
        """Return the positions from which the reader continues, including partitions that are new to it."""
        topics = await self._names.listed()
        found = resumed_at(cursor, topics)
        if found.gone or found.unlisted:
            topics = await self._names.listed(fresh=True)
            found = resumed_at(cursor, topics)
        if found.gone:
            piece.note_gap(GapReason.TOPIC_GONE)
        positions = dict(found.positions)
        if found.unread:
            positions |= await self._firsts(subscription.active_from, found, piece)
        ids = {name: topic.topic_id for name, topic in topics.items()}
        # Topics that a lagging broker does not list are read when it does.
        return Reading(positions, ids, found.unlisted)

    async def _firsts(
        self, active_from: Millis, found: Resumption, piece: PullPiece
    ) -> dict[TopicPartition, int]:
        # The ends are read first: if no record is so young, records appended meanwhile are read.
        ends = await self._log.ends(found.unread)
        firsts = await self._log.firsts(found.unread, active_from + 1)
        lows = await self._log.lows(found.unread)
        begun: dict[TopicPartition, int] = {}
        for at in found.unread:
            low = lows[at]
            begun[at] = first_offset(low, firsts[at], ends[at])
            if begins_behind(low, min(firsts[at], ends[at])):
                piece.note_gap(GapReason.RETENTION)
        return begun

    async def _fill(self, reader: PooledReader, page: "_Page") -> None:
        now, read = self._clock.monotonic, 0
        until = now() + _FIRST_SECONDS
        is_first = True
        while read < self._rules.reading_records and now() < until:
            taken = await reader.take(min(_AT_ONCE, self._rules.reading_records - read))
            if taken.records and is_first:
                until, is_first = now() + self._rules.reading_seconds, False
            read += len(taken.records)
            page.piece.read = read
            page.touched.update(at.topic for at in taken.positions)
            await self._add(reader, page, taken.records)
            page.reading.moved(taken.positions)
            if taken.gone:
                await self._find(reader, page, taken.gone)
            if page.is_full or page.reading.cut.issuperset(page.open - set(taken.at_end)):
                page.piece.has_more |= page.is_full
                return
        page.piece.has_more = True

    async def _add(self, reader: PooledReader, page: "_Page", records: Sequence[Record]) -> None:
        reading = page.reading
        inside = [each for each in records if reading.passes(each.where, each.offset)]
        if not inside:
            return
        held = page.held(self._directory)
        read = await self._events.read(inside, reading.ids, page.asked, self._clock.now())
        events = [each for each in read if isinstance(each, ReadEvent)]
        shown = await self._renderer.shown(page.subscription, events, self._clock.now())
        entries = iter(shown)
        for record, each in zip(inside, read, strict=True):
            entry = (
                next(entries) if isinstance(each, ReadEvent) else self._aside(page, record, each)
            )
            if not reading.passes(record.where, record.offset):
                continue
            wait = _why_it_waits(each, entry, held)
            if wait is not None:
                page.piece.waits.add(wait)
                reading.stop(record.where, record.offset)
                await reader.drop(record.where)
            elif entry is not None and page.is_full:
                reading.stop(record.where, record.offset)
            else:
                page.piece.add(entry)
                page.is_full = page.is_full or page.piece.has(page.limit)
                reading.moved({record.where: record.offset + 1})

    def _aside(self, page: "_Page", record: Record, read: RecordRead) -> SkippedEvent | None:
        if not isinstance(read, CannotBeRead):
            return None
        return self._renderer.skipped(page.subscription, page.partner, record, read)

    async def _find(
        self, reader: PooledReader, page: "_Page", gone: Collection[TopicPartition]
    ) -> None:
        """Continue at offsets that can still be read, and record gaps."""
        reading = page.reading
        left = [at for at in gone if at in reading.positions]
        logs = await self._log.logs(left)
        for at in left:
            if at not in reading.positions:
                continue  # its topic is gone with another partition
            log = logs[at]
            found = found_again(
                reading.positions[at], reading.ids[at.topic], log.topic_id, log.low, log.high
            )
            if found.gap is not None:
                page.piece.note_gap(found.gap)
            if found.offset is None:
                # The topic that replaced it is read from its start, by the next page.
                for other in [each for each in reading.positions if each.topic == at.topic]:
                    await reader.drop(other)
                reading.leave([at.topic])
                page.piece.has_more = True
                await self._names.listed(fresh=True)
            else:
                reading.positions[at] = found.offset
                await reader.place({at: found.offset})

    async def _is_of_these_topics(self, page: "_Page") -> bool:
        ids = await self._log.ids(page.touched) if page.touched else {}
        return all(ids.get(topic) == page.reading.ids[topic] for topic in page.touched)


@dataclass(slots=True)
class _Page:
    """A page that is being read."""

    subscription: Subscription
    partner: Partner | None
    piece: PullPiece
    reading: Reading
    limit: int
    is_full: bool = False
    touched: set[str] = field(default_factory=set)
    """Topics of which something was read."""

    @property
    def open(self) -> set[TopicPartition]:
        """The partitions that are read."""
        return set(self.reading.positions)

    def asked(self, event_type: str, timestamp: Millis) -> bool:
        """Return whether the subscription asks for a type at a time."""
        return asks_for(self.subscription.event_types, event_type) and is_asked_at(
            self.subscription, timestamp
        )

    def held(self, directory: Directory) -> frozenset[str]:
        """Return the event types that an operator holds."""
        return directory.holds.names(HoldKind.EVENT_TYPE)


def _why_it_waits(read: RecordRead, entry: Shown, held: frozenset[str]) -> WaitReason | None:
    match read:
        case SchemaUnknown():
            return WaitReason.UNKNOWN_SCHEMA
        case ReadEvent() if entry is not None and read.event.event_type in held:
            return WaitReason.SUSPENDED
        case ReadEvent() | CannotBeRead() | Unasked():
            return None
