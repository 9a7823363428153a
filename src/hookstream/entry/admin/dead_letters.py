"""Reads one of the two dead-letter topics, the resolutions of its records, and their origins."""

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from hookstream.adapters.kafka.lookups import LOOKUPS
from hookstream.adapters.kafka.scan import LogScan, ReadLimit, Stretch
from hookstream.adapters.kafka.tables.log import read_tables
from hookstream.adapters.kafka.topic_ids import topic_ids_of
from hookstream.core.jobs.row_problem import RowProblem
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import Origin, Record
from hookstream.core.model.topics import Topics
from hookstream.core.redrive.groups import Grouping
from hookstream.core.redrive.job import TopicEnds
from hookstream.core.redrive.ledger import Ledger, ResolvedBy, read_ledger
from hookstream.core.redrive.marks import OffsetRange, Position, RedriveSource, TopicIds
from hookstream.core.redrive.rivals import refuse_rival
from hookstream.core.redrive.selector import Selector
from hookstream.core.redrive.summary import DeadLetterSummary, Tally, summary_of
from hookstream.entry.cluster import reached
from hookstream.errors import ConfigurationError
from hookstream.pipeline.dead_letter_jobs import refuse_unreadable
from hookstream.settings import Settings

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the number of offsets read and the number to read."""


def no_progress(_done: int, _total: int) -> None:
    """Show nothing."""


def topic_of(source: RedriveSource, topics: Topics) -> str:
    """Return the name of a dead-letter topic."""
    match source:
        case RedriveSource.DEAD_LETTERS:
            return topics.dead_letters
        case RedriveSource.UNDECODABLE:
            return topics.undecodable


@dataclass(slots=True)
class DeadLetterReader:
    """Reads one dead-letter topic and the jobs table. Implements `DeadLetters`."""

    settings: Settings
    source: RedriveSource
    progress: Progress = field(default=no_progress)
    since: Millis | None = None
    """`records` yields no record that was appended before this instant."""
    within: Mapping[int, OffsetRange] | None = None
    """The only offsets that `records` yields, by partition; None: all of all partitions."""
    limit: ReadLimit | None = None
    """The most offsets that `between` reads, the newest; None: all of them."""

    @property
    def topic(self) -> str:
        """The topic's name."""
        return topic_of(self.source, self.settings.topics_names)

    def ledger(self) -> Ledger:
        """Return the records that are resolved.

        Raises:
            InputRefused: A mark cannot be read, so it is unknown which records are open.
        """
        ledger, problems = self.read_ledger()
        refuse_unreadable(problems)
        return ledger

    def read_ledger(self) -> tuple[Ledger, list[RowProblem]]:
        """Return the records that are resolved, as far as they are known, and the rows that cannot be read."""
        return read_ledger(self.jobs(), self.topic_ids())

    def jobs(self) -> Mapping[str, bytes]:
        """Return the live rows of the jobs table."""
        table = self.settings.topics_names.jobs
        rows = read_tables(reached(self.settings), [table])[table]
        return {key: row.value for key, row in rows.items() if row.value is not None}

    def topic_ids(self) -> TopicIds:
        """Return the ids that both topics have now; empty: there is no such topic, or it has none."""
        names = {topic_of(source, self.settings.topics_names): source for source in RedriveSource}
        found = topic_ids_of(LOOKUPS.client(reached(self.settings)), names)
        return {source: (found[name] or b"").hex() for name, source in names.items()}

    def refuse_rival(self, job_id: str = "") -> None:
        """Refuse to redrive or purge the topic while another job does so.

        Args:
            job_id: The job that does so, if it exists.

        Raises:
            Conflict: The jobs table has such a job now.
        """
        refuse_rival(self.jobs(), self.source, job_id)

    def topic_ends(self) -> TopicEnds:
        """Return the current end of the topic, with its id."""
        # The id first: that of a topic which is created again in between fits no job, and nothing is taken.
        topic_id = self.topic_ids()[self.source]
        return TopicEnds(self.ends(), topic_id)

    def ends(self) -> dict[int, int]:
        """Return the current end offset of each partition."""
        return {partition: bounds.end for partition, bounds in self._scan().bounds().items()}

    def starts(self) -> Mapping[tuple[RedriveSource, int], int]:
        """Return the first offset that each partition of both topics still has."""
        client, topics = reached(self.settings), self.settings.topics_names
        return {
            (source, partition): bounds.start
            for source in RedriveSource
            for partition, bounds in LogScan(client, topic_of(source, topics)).bounds().items()
        }

    def narrow(self, selector: Selector) -> None:
        """Let `records` yield no more than a selector needs."""
        self.since, self.within = selector.since, selector.bounds()

    def records(self, ends: Mapping[int, int]) -> Iterator[Record]:
        """Yield the records up to, not including, these offsets."""
        starts: Mapping[int, int] = {}
        if self.within is not None:
            starts = {partition: found.first for partition, found in self.within.items()}
            ends = {
                partition: min(ends.get(partition, 0), found.last + 1)
                for partition, found in self.within.items()
            }
        stretch = Stretch(since=self.since, starts=starts, ends=ends)
        return self._scan().read(stretch, progress=self.progress)

    def between(self, since: Millis | None, until: Millis | None) -> Iterator[Record]:
        """Yield the records that were appended between two times."""
        window = Stretch(since, until)
        return self._scan().read(window, progress=self.progress, limit=self.limit)

    def stretch(self, stretch: Stretch) -> Iterator[Record]:
        """Yield the records of a stretch of the topic."""
        return self._scan().read(stretch, progress=self.progress)

    def at(self, position: Position) -> Record | None:
        """Return the record at a position, or None if the log does not have it."""
        return self._scan().at(position.partition, position.offset)

    def of_delivery(self, delivery_id: str) -> list[Record]:
        """Return every dead letter of a delivery, the oldest first."""
        found = self.between(None, None)
        mine = [each for each in found if summary_of(each).delivery_id == delivery_id]
        return sorted(mine, key=lambda record: record.timestamp)

    def origin(self, origin: Origin) -> Record | None:
        """Return the original record of an event, or None if it is gone."""
        try:
            scan = LogScan(reached(self.settings), origin.topic)
            return scan.at(origin.partition, origin.offset)
        except ConfigurationError:
            # The event topic was deleted, and the record with it.
            return None

    def _scan(self) -> LogScan:
        return LogScan(reached(self.settings), self.topic)


@dataclass(slots=True)
class Listing:
    """The result of one reading: counts of all records, and the newest few of them."""

    source: RedriveSource
    limit: int
    with_resolved: bool
    """Whether records that were redriven or purged are counted and listed too."""
    grouping: Grouping | None = None
    """Counts by another property in addition to the reason; None: not requested."""
    tally: Tally = field(default_factory=Tally)
    redriven: int = 0
    """How many of those read were redriven."""
    purged: int = 0
    """How many of them were purged."""
    _newest: list[tuple[Millis, Position, int, DeadLetterSummary, ResolvedBy | None]] = field(
        default_factory=list
    )
    """The number distinguishes records without a position, which partners do not see."""

    def add(self, summary: DeadLetterSummary, resolved_by: ResolvedBy | None) -> None:
        """Count a record, and keep it if it is one of the newest."""
        if resolved_by is not None:
            self.redriven += resolved_by.purged is None
            self.purged += resolved_by.purged is not None
            if not self.with_resolved:
                return
        self.tally.add(summary.group(self.source), summary.at)
        if self.grouping is not None:
            self.grouping.add(summary)
        kept = (summary.at, summary.position, self.tally.records, summary, resolved_by)
        if len(self._newest) < self.limit:
            heapq.heappush(self._newest, kept)
        elif self._newest and kept > self._newest[0]:
            heapq.heapreplace(self._newest, kept)

    @property
    def opened(self) -> int:
        """How many of those read are open."""
        resolved = self.redriven + self.purged
        return self.tally.records - (resolved if self.with_resolved else 0)

    def newest_first(self) -> list[tuple[DeadLetterSummary, ResolvedBy | None]]:
        """Return the newest records, each with the job that redrove or purged it."""
        newest = sorted(self._newest, key=lambda kept: kept[:2], reverse=True)
        return [(summary, resolved_by) for *_, summary, resolved_by in newest]


def listed(reader: DeadLetterReader, ledger: Ledger, selector: Selector, listing: Listing) -> None:
    """Read the selected records into a listing."""
    for record in reader.between(selector.since, selector.until):
        if selector.selects(record.headers, record.timestamp):
            summary = summary_of(record)
            listing.add(summary, ledger.resolved_by(reader.source, summary.position))
