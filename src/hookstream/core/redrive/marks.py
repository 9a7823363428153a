"""Marks of redrive jobs resolve dead letters and undecodable records; one without a mark is open.

A record is identified by its position in the log, never by its delivery: a delivery can be given up,
redriven and given up again, and each of these dead letters is open or resolved by itself. A mark is one
value of the jobs table. It is written in the same transaction as the tier records of the dead letters
that it resolves, so a dead letter is either open or in a tier.

Keys of marks: `<job>/<partition>/<first offset>` for the dead-letter topic, and
`<job>/undecodable/<partition>/<first offset>` for the undecodable topic.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

MAX_OFFSETS = 10_000
"""The most offsets in one mark: about 80 KB of JSON, far below the limit of a record."""

MARK_FORMAT = 1

_LONGEST = 300
"""The longest description of a problem with a row, in characters."""


class RedriveSource(StrEnum):
    """The topic that a redrive reads: dead letters, or undecodable records."""

    DEAD_LETTERS = "dead-letters"
    UNDECODABLE = "undecodable"


class Position(NamedTuple):
    """The position of a record within its topic."""

    partition: int
    offset: int

    def __str__(self) -> str:
        """Return the text used on the command line, `3@1042`."""
        return f"{self.partition}@{self.offset}"


class Mark(NamedTuple):
    """One value of the jobs table: the records at these offsets are resolved."""

    job_id: str
    source: RedriveSource
    partition: int
    offsets: tuple[int, ...]
    """1 to `MAX_OFFSETS` offsets, in the order of resolution."""

    @property
    def key(self) -> str:
        """The key of its row."""
        middle = "undecodable/" if self.source is RedriveSource.UNDECODABLE else ""
        return f"{self.job_id}/{middle}{self.partition}/{self.offsets[0]}"

    def encode(self) -> bytes:
        """Return the value of its row."""
        row = {
            "format": MARK_FORMAT,
            "revision": 1,
            "partition": self.partition,
            "offsets": self.offsets,
        }
        return json.dumps(row, separators=(",", ":")).encode()


class RowProblem(NamedTuple):
    """A row of the jobs table that cannot be read: a job's own, or a mark."""

    key: str
    why: str


def unreadable(key: str, why: str) -> RowProblem:
    """Return the problem of a row, its description of bounded length."""
    return RowProblem(key, why[:_LONGEST])


def json_of(key: str, value: bytes) -> object:
    """Return the JSON in a row, or a `RowProblem`."""
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as problem:
        return unreadable(key, f"it is not JSON: {problem}")


def read_mark(key: str, value: bytes) -> Mark | RowProblem | None:
    """Read one row of the jobs table; None if its key is not a mark's (it is a job's own row).

    While a mark cannot be read, its records would count as open.
    """
    parts = key.split("/")
    if len(parts) == 3:  # noqa: PLR2004 (job, partition, first offset)
        source = RedriveSource.DEAD_LETTERS
    elif len(parts) == 4 and parts[1] == "undecodable":  # noqa: PLR2004
        source = RedriveSource.UNDECODABLE
    else:
        return None
    match json_of(key, value):
        case RowProblem() as problem:
            return problem
        case {"format": int(version)} if version != MARK_FORMAT:
            return unreadable(key, f"format {version} is newer than this release reads")
        case {"partition": int(partition), "offsets": [*offsets]} if _are_offsets(offsets):
            return Mark(parts[0], source, partition, tuple(offsets))
        case _:
            return RowProblem(key, "it lacks a partition or a list of offsets")


def _are_offsets(values: list[object]) -> bool:
    return 0 < len(values) <= MAX_OFFSETS and all(type(value) is int for value in values)


@dataclass(slots=True)
class Ledger:
    """The resolved records of both topics by position, each with the job that resolved it."""

    _jobs: dict[tuple[RedriveSource, int], dict[int, str]] = field(default_factory=dict)

    def add(self, mark: Mark) -> None:
        """Add a mark. If two jobs resolved a record, the first one is kept."""
        resolved = self._jobs.setdefault((mark.source, mark.partition), {})
        for offset in mark.offsets:
            resolved.setdefault(offset, mark.job_id)

    def resolved_by(self, source: RedriveSource, position: Position) -> str | None:
        """Return the job that resolved a record, or None: it is open."""
        return self._jobs.get((source, position.partition), {}).get(position.offset)

    def is_open(self, source: RedriveSource, position: Position) -> bool:
        """Return whether no job has resolved the record."""
        return self.resolved_by(source, position) is None


def read_ledger(rows: Mapping[str, bytes]) -> tuple[Ledger, list[RowProblem]]:
    """Read the jobs table. Callers must not act on the ledger while there are problems."""
    ledger = Ledger()
    found = [read_mark(key, value) for key, value in rows.items()]
    for mark in found:
        if isinstance(mark, Mark):
            ledger.add(mark)
    return ledger, [each for each in found if isinstance(each, RowProblem)]


@dataclass(slots=True)
class MarkBook:
    """The marks that one run of a job writes: each grows to `most` offsets, then a new one begins.

    A grown mark keeps its key, so compaction leaves one row for it. A resumed run starts marks of
    its own; their keys differ, since no record is resolved twice.
    """

    job_id: str
    source: RedriveSource
    most: int = MAX_OFFSETS
    _latest: dict[int, Mark] = field(default_factory=dict)

    def trial(self) -> "MarkBook":
        """Return a copy to continue with: keep it if its marks are committed, otherwise discard it."""
        return MarkBook(self.job_id, self.source, self.most, dict(self._latest))

    def resolve(self, positions: Iterable[Position]) -> list[Mark]:
        """Return the rows to write for newly resolved records; each is the whole new value of its mark."""
        fresh: dict[int, list[int]] = defaultdict(list)
        for partition, offset in positions:
            fresh[partition].append(offset)
        marks: list[Mark] = []
        for partition, offsets in fresh.items():
            latest = self._latest.get(partition)
            if latest is not None and len(latest.offsets) < self.most:
                offsets[:0] = latest.offsets
            for start in range(0, len(offsets), self.most):
                chunk = tuple(offsets[start : start + self.most])
                marks.append(Mark(self.job_id, self.source, partition, chunk))
            self._latest[partition] = marks[-1]
        return marks


def outlived(
    rows: Mapping[str, bytes], starts: Mapping[tuple[RedriveSource, int], int]
) -> list[str]:
    """Return the keys of marks that can be removed: retention deleted all of their records.

    Args:
        rows: The jobs table.
        starts: The log start offset of each partition.
    """
    keys: list[str] = []
    for key, value in rows.items():
        mark = read_mark(key, value)
        if isinstance(mark, Mark):
            start = starts.get((mark.source, mark.partition))
            if start is not None and max(mark.offsets) < start:
                keys.append(key)
    return keys
