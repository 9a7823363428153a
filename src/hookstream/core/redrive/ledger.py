"""The ledger has which records are resolved, by which job: redriven, or purged, by whom and why.

It keeps ranges of offsets, not offsets: a million records that were purged together cost one range in
each partition, and a million that lie apart 24 bytes each.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush, merge
from itertools import repeat
from typing import NamedTuple, TypeAlias

from hookstream.core.jobs.row_problem import RowProblem
from hookstream.core.redrive.marks import (
    Mark,
    Position,
    Purged,
    RedriveSource,
    TopicIds,
    read_mark,
)


class ResolvedBy(NamedTuple):
    """What resolved a record."""

    job_id: str
    purged: Purged | None = None
    """Who purged it; None: it was redriven."""

    @property
    def word(self) -> str:
        """What became of the record: `redriven` or `purged`."""
        return "redriven" if self.purged is None else "purged"

    def __str__(self) -> str:
        """Return it in words, such as `purged by ada@ops (job purge-1): sent by mail`."""
        if self.purged is None:
            return f"redriven by {self.job_id}"
        return f"purged by {self.purged.by} (job {self.job_id}): {self.purged.why}"


_Piece: TypeAlias = tuple[int, int, int]
"""First and last offset, and the number of the resolution."""


@dataclass(slots=True)
class _Run:
    """The ranges of one mark, ascending, and the number of its resolution."""

    firsts: "array[int]"
    lasts: "array[int]"
    number: int

    def pieces(self) -> Iterator[_Piece]:
        return zip(self.firsts, self.lasts, repeat(self.number))


@dataclass(slots=True)
class _Resolved:
    """The resolved offsets of one partition: disjoint ranges, ascending."""

    firsts: "array[int]" = field(default_factory=lambda: array("q"))
    lasts: "array[int]" = field(default_factory=lambda: array("q"))
    numbers: "array[int]" = field(default_factory=lambda: array("q"))
    waiting: list[_Run] = field(default_factory=list)
    """Added since the ranges were last merged."""

    def find(self, offset: int) -> int | None:
        """Return the number of the resolution of an offset, or None."""
        if self.waiting:
            self._merge()
        at = bisect_right(self.firsts, offset) - 1
        return self.numbers[at] if at >= 0 and offset <= self.lasts[at] else None

    def _merge(self) -> None:
        known = zip(self.firsts, self.lasts, self.numbers, strict=True)
        firsts, lasts, numbers = array("q"), array("q"), array("q")
        for first, last, number in _disjoint(
            merge(known, *(run.pieces() for run in self.waiting))
        ):
            if numbers and numbers[-1] == number and lasts[-1] == first - 1:
                lasts[-1] = last
                continue
            firsts.append(first)
            lasts.append(last)
            numbers.append(number)
        self.firsts, self.lasts, self.numbers = firsts, lasts, numbers
        self.waiting.clear()


def _disjoint(pieces: Iterator[_Piece]) -> Iterator[_Piece]:
    """Yield ranges that cover the same offsets, none of them twice.

    Args:
        pieces: In order of their first offset. Where several overlap, the lowest number is kept.
    """
    covering: list[tuple[int, int]] = []
    """Number and last offset of ranges that may cover the next offset."""
    coming = next(pieces, None)
    at = 0
    while coming is not None or covering:
        if not covering and coming is not None:
            at = coming[0]
        while coming is not None and coming[0] <= at:
            heappush(covering, (coming[2], coming[1]))
            coming = next(pieces, None)
        while covering and covering[0][1] < at:
            heappop(covering)
        if covering:
            number, last = covering[0]
            last = last if coming is None else min(last, coming[0] - 1)
            yield at, last, number
            at = last + 1


@dataclass(slots=True)
class Ledger:
    """The resolved records of both topics by position, each with what resolved it."""

    _resolutions: list[ResolvedBy] = field(default_factory=list)
    _numbers: dict[ResolvedBy, int] = field(default_factory=dict)
    _partitions: dict[tuple[RedriveSource, int], _Resolved] = field(default_factory=dict)

    def add(self, mark: Mark) -> None:
        """Add a mark. If two jobs resolved a record, the one that was added first is kept."""
        resolution = ResolvedBy(mark.job_id, mark.purged)
        number = self._numbers.setdefault(resolution, len(self._resolutions))
        if number == len(self._resolutions):
            self._resolutions.append(resolution)
        ranges = sorted(mark.ranges)
        firsts = array("q", (each.first for each in ranges))
        lasts = array("q", (each.last for each in ranges))
        where = (mark.source, mark.partition)
        self._partitions.setdefault(where, _Resolved()).waiting.append(_Run(firsts, lasts, number))

    def resolved_by(self, source: RedriveSource, position: Position) -> ResolvedBy | None:
        """Return what resolved a record, or None: it is open."""
        resolved = self._partitions.get((source, position.partition))
        number = None if resolved is None else resolved.find(position.offset)
        return None if number is None else self._resolutions[number]

    def is_open(self, source: RedriveSource, position: Position) -> bool:
        """Return whether no job has resolved the record."""
        return self.resolved_by(source, position) is None


def read_ledger(rows: Mapping[str, bytes], topic_ids: TopicIds) -> tuple[Ledger, list[RowProblem]]:
    """Read the jobs table. Callers must not act on the ledger while there are problems.

    Args:
        rows: The jobs table.
        topic_ids: The ids that both topics have now: marks of a deleted topic resolve nothing.
    """
    ledger = Ledger()
    problems: list[RowProblem] = []
    for mark in _marks(rows):
        if isinstance(mark, RowProblem):
            problems.append(mark)
        elif mark.applies_to(topic_ids):
            ledger.add(mark)
    return ledger, problems


def _marks(rows: Mapping[str, bytes]) -> Iterable[Mark | RowProblem]:
    """Yield the marks one by one: as objects, all of them at once would take much memory."""
    for key, value in rows.items():
        mark = read_mark(key, value)
        if mark is not None:
            yield mark
