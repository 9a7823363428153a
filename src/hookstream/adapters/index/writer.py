"""Writes an index's folder, as its only writer, with the hours in any order.

Files are written per span of append time. A batch's information about runs whose events are of other hours is
committed before the batch's positions. So a process that is killed in between reads the batch again, and joining
it again changes nothing.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Protocol

from hookstream.adapters.index.aside_file import AsideFile, IndexedAside, Operation
from hookstream.adapters.index.attempt_rows import Indexed
from hookstream.adapters.index.attempts_file import AttemptsFile
from hookstream.adapters.index.closing import closing
from hookstream.adapters.index.database import OtherFormat
from hookstream.adapters.index.folder import Family, IndexFile, IndexFolder, is_damage
from hookstream.adapters.index.lives import Life, life_of, lives_of
from hookstream.adapters.index.now_file import MOST_WAITING, NowFile, Waiting
from hookstream.adapters.index.packing import packed_delivery
from hookstream.core.audit.run_states import PendingRecord
from hookstream.core.jobs.job import Job, read_job
from hookstream.core.jobs.row_problem import RowProblem
from hookstream.core.model.instant import HOUR, Millis
from hookstream.core.model.record import Origin, TopicPartition
from hookstream.core.offsets.group_position import GroupPosition
from hookstream.core.redrive.ledger import Ledger, ResolvedBy
from hookstream.core.redrive.marks import Mark, TopicIds, read_mark
from hookstream.core.statistics.life import Ending
from hookstream.errors import DependencyUnavailable

_OPEN = 24
"""The most hours' files that are kept open."""
_NEWEST_KIB, _OTHER_KIB = 65_536, 4_096
_NEWEST_LOG, _OTHER_LOG = 8_000, 500
_ASIDE_SHARE = 4
"""The files of dead letters, undecodable records and operations events may take a quarter of the bytes."""


class Log(Protocol):
    """Takes the writer's log lines."""

    def warning(self, event: str, **fields: str | float | None) -> None:
        """Log an event that an operator should look at."""

    def info(self, event: str, **fields: str | float | None) -> None:
        """Log a usual event."""


class ReadAgain(Exception):
    """Raised when a damaged file was deleted, with those that must be rebuilt with it: begin again."""


class IndexWriter:
    """Writes the index. For one thread of one process.

    Args:
        folder: The folder; it is created if it is missing.
        most_bytes: The most bytes of all files; beyond, the oldest is deleted.
        log: Takes log lines.
        most_waiting: The most tier records that have rows.

    Raises:
        OSError: The folder cannot be created.
        sqlite3.Error: A file cannot be opened, for a reason other than its contents.
    """

    def __init__(
        self, folder: Path, *, most_bytes: int, log: Log, most_waiting: int = MOST_WAITING
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = IndexFolder(folder)
        self.ledger = Ledger()
        self.topic_ids: TopicIds = {}
        """The ids that the topics of dead letters and undecodable records have now."""
        self._most_bytes = most_bytes
        self._log = log
        self._most_waiting = most_waiting
        self._attempts: dict[Millis, AttemptsFile] = {}
        self._aside: dict[Millis, AsideFile] = {}
        self._marks: dict[str, Mark] = {}
        self._filters: Iterator[None] | None = None
        self._said_too_small: Millis | None = None
        self.present: dict[Family, Millis] = {}
        """By family: the oldest span that is read while it is appended; earlier ones are complete or not."""
        self._states: dict[tuple[Family, Millis], str] = {}
        """The state of each span: `begun` or `complete`."""
        self.now = self._open_now()
        self.floors = {family: self._floor(family) for family in Family}
        """Spans before these are not kept."""

    def close(self) -> None:
        """Close all files."""
        for hour in self._attempts.values():
            hour.close()
        for day in self._aside.values():
            day.close()
        self._attempts.clear()
        self._aside.clear()
        self.now.close()

    # Spans.

    def begin(self, family: Family, start: Millis) -> Mapping[TopicPartition, int]:
        """Create the file of a kept span if it is missing; return the positions of its partitions.

        Raises:
            ReadAgain: The file was damaged.
        """
        if start < self.floors[family]:
            return {}
        file = self._file(family, start)
        with self._guarded(file.file):
            if file.state("begun") is None:
                file.put_state("begun", 1)
            self._states[family, start] = "complete" if file.state("complete") else "begun"
        return file.positions

    def complete(self, family: Family, start: Millis) -> None:
        """Note that a span was read completely."""
        if start < self.floors[family]:
            return  # It was deleted meanwhile.
        file = self._file(family, start)
        with self._guarded(file.file):
            file.put_state("complete", 1)
        self._states[family, start] = "complete"

    def is_complete(self, family: Family, start: Millis) -> bool:
        """Return whether a span was read completely; no file is created for that."""
        known = self._states.get((family, start))
        if known is None and self.folder.file(family, start).path.exists():
            file = self._file(family, start)
            with self._guarded(file.file):
                known = "complete" if file.state("complete") else None
            if known is not None:
                self._states[family, start] = known
        return known == "complete"

    def raise_floor(self, family: Family, start: Millis) -> None:
        """Drop all spans before this one."""
        if start <= self.floors[family]:
            return
        self.floors[family] = start
        self.now.put_state({f"floor.{family.prefix}": start})
        for file in self.folder.files(family):
            if file.start < start:
                self._close(file)
                self._states.pop((family, file.start), None)
                file.unlink()

    def known_since(self, family: Family) -> Millis | None:
        """Return the time from which on everything is known up to the last read; None: nothing is."""
        since = self._present(family)
        if since is None:
            return None
        while since - family.span >= self.floors[family] and self.is_complete(
            family, since - family.span
        ):
            since -= family.span
        return since

    def _present(self, family: Family) -> Millis | None:
        begun = [start for each, start in self._states if each is family]
        return self.present.get(family, max(begun, default=None))

    # Records that were read.

    def attempts(
        self,
        hour: Millis,
        attempts: Sequence[Indexed],
        waits: Iterable[PendingRecord],
        positions: Mapping[TopicPartition, int],
        topic: str,
    ) -> None:
        """Take attempts and tier records of one hour of append time.

        Attempts below the file's positions are in it already and are left out.

        Args:
            hour: The start of the hour.
            attempts: By offset within each partition.
            waits: Tier records of deliveries: only their information about runs is stored.
            positions: The next offset of each partition that these were read from.
            topic: The attempts topic.

        Raises:
            ReadAgain: A file was damaged.
        """
        if hour < self.floors[Family.ATTEMPTS]:
            return
        target = self._attempts_file(hour)
        known = target.positions
        begins = {at.partition: offset for at, offset in known.items() if at.topic == topic}
        fresh = [each for each in attempts if each.offset >= begins.get(each.partition, 0)]
        deliveries = [packed_delivery(each.entry.delivery_id) for each in fresh]
        of_hours: dict[Millis, list[Life]] = {}
        floor = self.floors[Family.ATTEMPTS]
        for life in chain(lives_of(fresh, deliveries, hour), map(life_of, waits)):
            at = life.key.origin.timestamp // HOUR * HOUR
            # An event may be of the next hour, by as much as its broker's clock is ahead.
            if floor <= at <= hour + HOUR:
                of_hours.setdefault(at, []).append(life)
        own = of_hours.pop(hour, [])
        self._join(of_hours)
        target = self._attempts_file(hour)
        moved = {at: next_one for at, next_one in positions.items() if next_one > known.get(at, 0)}
        with self._guarded(target.file):
            with target.transaction():
                target.add(fresh, deliveries)
                target.join(own)
                target.put_positions(moved)
            target.moved(moved)
        if fresh and self._states.get((Family.ATTEMPTS, hour)) == "complete":
            # Its filter lacks them, so it is rebuilt.
            target.file.filter.unlink(missing_ok=True)

    def ended_by_skip_of(self, origin: Origin) -> list[Life]:
        """Return, as skipped, the runs that a skip of their event's record ended: open ones that do not wait.

        Raises:
            ReadAgain: A file was damaged.
        """
        file = self.folder.file(Family.ATTEMPTS, Family.ATTEMPTS.start_of(origin.timestamp))
        if not file.path.exists():
            return []
        opened = self._attempts_file(file.start)
        with self._guarded(file):
            found = opened.open_runs(origin)
        with self._guarded(None):
            return [
                life._replace(state=life.state._replace(ending=Ending.SKIPPED))
                for life in found
                if not self.now.waits(life.delivery)
            ]

    def join(self, lives: Iterable[Life]) -> None:
        """Join information about runs that is not from their records; hours that are not kept are left out.

        Raises:
            ReadAgain: A file was damaged.
        """
        of_hours: dict[Millis, list[Life]] = {}
        for life in lives:
            at = Family.ATTEMPTS.start_of(life.key.origin.timestamp)
            if self.folder.file(Family.ATTEMPTS, at).path.exists():
                of_hours.setdefault(at, []).append(life)
        self._join(of_hours)

    def _join(self, of_hours: Mapping[Millis, Sequence[Life]]) -> None:
        for at in sorted(of_hours):
            other = self._attempts_file(at)
            with self._guarded(other.file), other.transaction():
                other.join(of_hours[at])

    def aside(
        self,
        day: Millis,
        aside: Iterable[IndexedAside],
        operations: Iterable[Operation],
        positions: Mapping[TopicPartition, int],
    ) -> None:
        """Take dead letters, undecodable records and operations events of one day of append time.

        Raises:
            ReadAgain: The file was damaged.
        """
        if day < self.floors[Family.ASIDE]:
            return
        file = self._aside_file(day)
        with self._guarded(file.file):
            file.add(aside, operations, positions, self.ledger)

    def waiting(self, records: Iterable[Waiting], positions: Mapping[TopicPartition, int]) -> None:
        """Take tier records as the ones that wait now.

        Raises:
            ReadAgain: The file was damaged.
        """
        with self._guarded(None):
            self.now.add(records, positions)

    def settle(self, positions: Iterable[GroupPosition]) -> dict[TopicPartition, int]:
        """Remove the records that the retry group's commits passed; return where tiers are to be read again.

        Raises:
            ReadAgain: The file was damaged.
        """
        with self._guarded(None):
            return self.now.settle(positions)

    def mark(self, key: str, value: bytes | None) -> None:
        """Take a row of the jobs table: if it is a mark, its records are resolved from then on.

        Raises:
            ReadAgain: A file was damaged.
        """
        if value is not None and "/" not in key:
            self._job(key, value)
            return
        mark = None if value is None else read_mark(key, value)
        if isinstance(mark, RowProblem):
            self._log.warning("index.mark_unreadable", key=key, why=mark.why)
        if not isinstance(mark, Mark) or not mark.applies_to(self.topic_ids):
            return
        before = self._marks.get(key)
        self._marks[key] = mark
        fresh = set(mark.ranges) - set(before.ranges if before is not None else ())
        if not fresh:
            return
        ranges = sorted(fresh)
        self.ledger.add(mark._replace(ranges=tuple(ranges)))
        by = ResolvedBy(mark.job_id, mark.purged)
        for file in self.folder.files(Family.ASIDE):
            opened = self._aside_file(file.start)
            with self._guarded(opened.file):
                opened.resolve(mark.source, mark.partition, ranges, by)

    def _job(self, key: str, value: bytes) -> None:
        """Store when a job was requested."""
        job = read_job(key, value)
        if isinstance(job, Job):
            with self._guarded(None):
                self.now.put_state({f"job.{job.id}": job.asked_at})

    def read_up_to(self, values: Mapping[str, int | str]) -> None:
        """Store the read positions, for readers.

        Raises:
            ReadAgain: The file was damaged.
        """
        since = {
            f"since.{family.prefix}": found
            for family in Family
            if (found := self.known_since(family)) is not None
        }
        with self._guarded(None):
            self.now.put_state({**since, **values})

    # Maintenance.

    def maintain(self) -> None:
        """Do a bounded part of the maintenance: damaged files, sums and filters of closed hours, the bound in bytes.

        Raises:
            ReadAgain: A reader found a file damaged.
        """
        for family in Family:
            for file in self.folder.files(family):
                if file.marker.exists():
                    self._discard(file, "a reader found it damaged")
                    raise ReadAgain
        if self._filters is None:
            self._filters = self._next_filter()
        if self._filters is not None and next(self._filters, self._filters) is self._filters:
            self._filters = None
        self._evict()

    def _next_filter(self) -> Iterator[None] | None:
        newest = self._present(Family.ATTEMPTS) or 0
        for file in self.folder.files(Family.ATTEMPTS):
            closed = file.start < newest and self.is_complete(Family.ATTEMPTS, file.start)
            if closed and not file.filter.exists():
                return self._filter(file)
        return None

    def _filter(self, file: IndexFile) -> Iterator[None]:
        """Compute the sums and the filter of a closed hour, a bounded part at a time."""
        opened = self._attempts_file(file.start)
        with self._guarded(file):
            for _ in closing(opened, file):
                yield
                if self._attempts.get(file.start) is not opened:
                    return  # It was closed or deleted meanwhile.

    def _evict(self) -> None:
        while self.folder.bytes() > self._most_bytes:
            aside = self.folder.files(Family.ASIDE)
            files = self.folder.files(Family.ATTEMPTS)
            taken = sum(file.bytes() for file in aside)
            if len(aside) > 1 and (taken > self._most_bytes // _ASIDE_SHARE or len(files) <= 1):
                files = aside
            oldest = files[-1] if len(files) > 1 else None
            present = None if oldest is None else self._present(oldest.family)
            if oldest is None or (present is not None and oldest.start >= present):
                self._too_small()
                return
            self.raise_floor(oldest.family, oldest.start + oldest.family.span)
            self._log.info(
                "index.oldest_deleted", file=oldest.path.name, most_bytes=self._most_bytes
            )

    def _too_small(self) -> None:
        """Log once an hour that the current files alone exceed the bound."""
        present = self._present(Family.ATTEMPTS)
        if present != self._said_too_small:
            self._said_too_small = present
            self._log.warning(
                "index.too_small", bytes=self.folder.bytes(), most_bytes=self._most_bytes
            )

    # Files.

    def _file(self, family: Family, start: Millis) -> "AttemptsFile | AsideFile":
        if family is Family.ATTEMPTS:
            return self._attempts_file(start)
        return self._aside_file(start)

    def _attempts_file(self, start: Millis) -> AttemptsFile:
        opened = self._attempts.pop(start, None)
        if opened is None:
            file = self.folder.file(Family.ATTEMPTS, start)
            newest = start >= max(self._attempts, default=0)
            with self._guarded(file):
                opened = AttemptsFile(
                    file,
                    cache_kib=_NEWEST_KIB if newest else _OTHER_KIB,
                    log_pages=_NEWEST_LOG if newest else _OTHER_LOG,
                )
            if len(self._attempts) >= _OPEN:
                self._attempts.pop(next(iter(self._attempts))).close()
        self._attempts[start] = opened
        return opened

    def _aside_file(self, start: Millis) -> AsideFile:
        opened = self._aside.get(start)
        if opened is None:
            file = self.folder.file(Family.ASIDE, start)
            with self._guarded(file):
                opened = AsideFile(file)
                opened.resolve_all(self.ledger)
            self._aside[start] = opened
        return opened

    def _open_now(self) -> NowFile:
        path = self.folder.now
        try:
            return NowFile(path, most=self._most_waiting)
        except (OtherFormat, sqlite3.DatabaseError) as error:
            if isinstance(error, sqlite3.Error) and not is_damage(error):
                raise
            self._log.warning("index.file_deleted", file=path.name, why=str(error))
            self.folder.unlink_now()
            return NowFile(path, most=self._most_waiting)

    def _floor(self, family: Family) -> Millis:
        kept = self.now.state(f"floor.{family.prefix}")
        return kept if isinstance(kept, int) else 0

    def _close(self, file: IndexFile) -> None:
        opened = (self._attempts if file.family is Family.ATTEMPTS else self._aside).pop(
            file.start, None
        )
        if opened is not None:
            opened.close()

    def _discard(self, file: IndexFile, why: str) -> None:
        """Delete a damaged file, with what must be rebuilt with it.

        Later hours' attempts have information about the runs in an hour's file, so they are read again.
        """
        self._log.warning("index.file_deleted", file=file.path.name, why=why)
        for each in self.folder.files(file.family):
            if each.start == file.start or (
                file.family is Family.ATTEMPTS and each.start > file.start
            ):
                self._close(each)
                self._states.pop((each.family, each.start), None)
                each.unlink()
        file.unlink()

    @contextmanager
    def _guarded(self, file: IndexFile | None) -> Iterator[None]:
        """Delete a file that is found damaged; None: the file of the present.

        Raises:
            ReadAgain: It was damaged.
            DependencyUnavailable: It cannot be read or written now: the disk is full, for example.
        """
        try:
            yield
        except (OtherFormat, sqlite3.DatabaseError) as error:
            if isinstance(error, sqlite3.Error) and not is_damage(error):
                where = self.folder.path
                raise DependencyUnavailable(f"{where} cannot be written: {error}") from error
            if file is None:
                self.now.close()
                self._log.warning("index.file_deleted", file="now.db", why=str(error))
                self.folder.unlink_now()
            else:
                self._discard(file, str(error))
            raise ReadAgain from error
