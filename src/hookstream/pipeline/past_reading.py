"""Reads an extent of the past in pieces: the records that a subscription gets, and the offsets that are gone."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final, Self

from hookstream.core.jobs.step import STEP_BYTES, STEP_RECORDS
from hookstream.core.model.instant import Millis, to_rfc3339
from hookstream.core.model.record import Record, TopicPartition
from hookstream.core.replay.extent import (
    MOST_PARTITIONS,
    Extent,
    LostOffsets,
    curtailed,
    extent_of,
)
from hookstream.core.replay.interval import ends_may_be_fixed, settled_after
from hookstream.core.replay.request import ReplayRequest
from hookstream.errors import ConfigurationError
from hookstream.pipeline.bursts import AT_ONCE, Bursts
from hookstream.pipeline.past_judge import Fate, JudgedRecord, PastJudge
from hookstream.pipeline.past_ports import PastLog, PastReader
from hookstream.pipeline.ports import Clock

_MOST_READ: Final = 5_000
"""The most records that are read for a piece, whether or not the subscription gets them."""
_LONGEST: Final = 2.0
"""Seconds after which a piece ends."""
_LONGEST_WAIT: Final = 10.0
_AGAIN: Final = 0.3
_CHECKED_EVERY: Final = 2.0
"""Seconds without progress after which the brokers are asked why."""
_NAMED: Final = 3
_COMING: Final = "its records have not come yet"

WANTED: Final = (Fate.REPLAYED, Fate.LEFT_TO_WORKERS)
"""The fates of records that become tier records."""


@dataclass(slots=True, frozen=True)
class FixedEnds:
    """The ends of an interval, fixed for good."""

    extent: Extent
    curtailed: Sequence[TopicPartition]
    """Partitions from which retention may have removed records of the interval already."""


@dataclass(slots=True, frozen=True)
class EndsNotYet:
    """The ends of an interval cannot be fixed yet."""

    seconds: float
    """When to try again."""
    why: str


async def fix_ends(log: PastLog, request: ReplayRequest) -> FixedEnds | EndsNotYet:
    """Fix the ends of an interval, if the brokers' clock has passed it.

    Raises:
        ConfigurationError: There are more partitions than a replay can read.
        DependencyUnavailable: The brokers do not answer.
    """
    listing = await log.topics()
    settled = settled_after(listing.brokers, listing.replicas)
    now = await log.now()
    if not ends_may_be_fixed(request.interval, now, settled):
        at = request.interval.until + settled
        why = f"its end is fixed after {to_rfc3339(at)} by the brokers' clock"
        return EndsNotYet(min((at - now) / 1000 + 0.01, _LONGEST_WAIT), why)
    # Listed after the interval was over: topics created later have no record of it.
    listing = await log.topics()
    partitions = listing.partitions
    # The ends are read first: if no record is so young, a start is not below them.
    ends = await log.ends(partitions)
    lows = await log.lows(partitions)
    firsts = await log.firsts(partitions, request.interval.since)
    if await log.ids(listing.topics) != listing.ids:
        return EndsNotYet(_AGAIN, "topics were created or deleted while its end was fixed")
    starts = {at: max(first, lows[at]) for at, first in firsts.items()}
    extent = extent_of(listing.ids, starts, ends)
    if len(extent.spans) > MOST_PARTITIONS:
        raise ConfigurationError(
            f"{len(extent.spans):,} partitions have records of the interval, and a replay reads"
            f" {MOST_PARTITIONS:,} at most: make the interval shorter"
        )
    return FixedEnds(extent, curtailed(starts, lows))


@dataclass(slots=True)
class PastPiece:
    """The records of one piece of the past."""

    extent: Extent
    """The extent after it."""
    wanted: list[JudgedRecord] = field(default_factory=list)
    """The records that the subscription gets, by offset within each partition."""
    not_granted: list[JudgedRecord] = field(default_factory=list)
    counts: "Counter[Fate]" = field(default_factory=Counter)
    """How many records have each fate."""
    lost: list[LostOffsets] = field(default_factory=list)
    moved: bool = False
    """Whether anything was read, or found to be gone."""
    bytes: int = 0
    firsts: dict[TopicPartition, Millis] = field(default_factory=dict)
    """The time of the first record that was read of each partition."""
    topics: set[str] = field(default_factory=set)
    """The topics that records were read from."""

    producers_times: set[str] = field(default_factory=set)
    """Topics with a record that has its producer's time."""

    @property
    def read(self) -> int:
        """How many records were read."""
        return self.counts.total()


class PastReading:
    """Reads an extent piece by piece, within `async with`. For one task."""

    def __init__(
        self, log: PastLog, judge: PastJudge, clock: Clock, *, in_bursts: bool = False
    ) -> None:
        """Read nothing yet; `in_bursts`: leave half of the processor's time to others."""
        self._bursts = Bursts(clock) if in_bursts else None
        self._log = log
        self._judge = judge
        self._clock = clock
        self._stack = AsyncExitStack()
        self._reader: PastReader | None = None
        self._extent: Extent | None = None
        """The extent at whose beginning the reader is."""
        self._at_end: Collection[TopicPartition] = ()
        self._asked_at = float("-inf")
        self._why = _COMING

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the reader."""
        await self._stack.aclose()

    async def piece(self, extent: Extent, most: int) -> PastPiece:
        """Read from the beginning of an extent until the subscription gets `most` records of it.

        A piece has fewer if no more records are ready, if reading takes long, or if the subscription gets few.

        Raises:
            ConfigurationError: It may not be read.
            DependencyUnavailable: The brokers fail.
        """
        reader = await self._reader_at(extent)
        piece = PastPiece(extent)
        until = self._clock.monotonic() + _LONGEST
        while self._goes_on(piece, most, until):
            at_once = STEP_RECORDS if self._bursts is None else AT_ONCE
            taken = await reader.take(min(most - len(piece.wanted), at_once))
            if self._bursts is not None:
                self._bursts.begin()
            self._at_end = taken.at_end
            if not (taken.records or taken.positions or taken.gone):
                break
            await self._add(piece, taken.records)
            if self._bursts is not None:
                await self._bursts.stand_back()
            await self._move(piece, reader, piece.extent.moved(taken.positions))
            if taken.gone:
                logs = await self._log.logs(taken.gone)
                left, lost = piece.extent.checked(logs)
                piece.lost += lost
                await self._move(piece, reader, left)
                again = _positions(left, set(taken.gone))
                if again:
                    await reader.place(again)
        return await self._checked(extent, piece)

    async def check(self, extent: Extent) -> tuple[PastPiece, str]:
        """Ask the brokers why no records come; return the lost offsets and what the replay waits for.

        They are asked every two seconds at most.
        """
        piece, now = PastPiece(extent), self._clock.monotonic()
        if now - self._asked_at < _CHECKED_EVERY:
            return piece, self._why
        self._asked_at = now
        logs = await self._log.logs(list(extent.spans))
        piece.extent, piece.lost = extent.checked(logs)
        piece.moved = bool(piece.lost)
        self._extent = extent if not piece.moved else None
        self._why = _waiting(extent, self._at_end)
        return piece, self._why

    def _goes_on(self, piece: PastPiece, most: int, until: float) -> bool:
        return (
            bool(piece.extent.spans)
            and len(piece.wanted) < most
            and piece.bytes < STEP_BYTES
            and piece.read < _MOST_READ
            and self._clock.monotonic() < until
        )

    async def _reader_at(self, extent: Extent) -> PastReader:
        reader, at = self._reader, self._extent
        self._reader = self._extent = None
        if reader is None or at is not extent:
            # The first call, or a step that was not written, whose records are read again.
            await self._stack.aclose()
            reading = self._log.read(_positions(extent))
            reader = await self._stack.enter_async_context(reading)
        self._reader = reader
        return reader

    async def _add(self, piece: PastPiece, records: Sequence[Record]) -> None:
        spans = piece.extent.spans
        inside: list[Record] = []
        for record in records:
            span = spans.get(record.where)
            if span is not None and span.next <= record.offset < span.end:
                inside.append(record)
                piece.firsts.setdefault(record.where, record.timestamp)
                piece.topics.add(record.topic)
                if not record.append_time:
                    piece.producers_times.add(record.topic)
        for judged in await self._judge.judge(inside, piece.extent.ids):
            piece.counts[judged.fate] += 1
            if judged.fate in WANTED:
                piece.wanted.append(judged)
                piece.bytes += judged.record.size
            elif judged.fate is Fate.NOT_GRANTED:
                piece.not_granted.append(judged)

    async def _move(self, piece: PastPiece, reader: PastReader, left: Extent) -> None:
        """Record the remaining extent, and stop reading partitions that were read to their ends."""
        if left.spans == piece.extent.spans:
            return
        over = [at for at in piece.extent.spans if at not in left.spans]
        piece.extent, piece.moved = left, True
        if over:
            await reader.drop(over)

    async def _checked(self, extent: Extent, piece: PastPiece) -> PastPiece:
        """Return a piece, or one without records if a topic was created again meanwhile."""
        if piece.topics:
            ids = await self._log.ids(piece.topics)
            changed = {topic for topic in piece.topics if ids.get(topic) != extent.ids[topic]}
            if changed:
                gone = [at for at in extent.spans if at.topic in changed]
                piece = PastPiece(extent, moved=True)
                piece.extent, piece.lost = extent.checked(await self._log.logs(gone))
                # The reader is at other offsets.
                return piece
        self._extent = piece.extent
        return piece


def _positions(
    extent: Extent, only: set[TopicPartition] | None = None
) -> Mapping[TopicPartition, int]:
    return {at: span.next for at, span in extent.spans.items() if only is None or at in only}


def _waiting(extent: Extent, at_end: Collection[TopicPartition]) -> str:
    """Return what the replay waits for if the brokers answer and no records can be read."""
    hidden = sorted((at, span) for at, span in extent.spans.items() if at in at_end)
    if not hidden:
        return _COMING
    shown = [
        f"{at.topic}-{at.partition} at offset {span.next} of {span.end}"
        for at, span in hidden[:_NAMED]
    ]
    more = f" and {len(hidden) - _NAMED} more" if len(hidden) > _NAMED else ""
    return f"open transactions end: {', '.join(shown)}{more}"
