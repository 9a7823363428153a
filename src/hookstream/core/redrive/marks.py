"""Marks of jobs resolve dead letters and undecodable records; one without a mark is open.

A record is identified by its position in the log, never by its delivery: a delivery can be given up,
redriven and given up again, and each of these dead letters is open or resolved by itself. A mark is one
value of the jobs table, and names its topic by id, since offsets begin again in a topic that is deleted and
created again. Marks of a redrive are written in the same transaction as the tier records of
the dead letters that they resolve, so a dead letter is either open or in a tier. Marks of a purge
resolve what nobody wants delivered any more; they say who decided that, and why.

Keys of marks: `<job>/<partition>/<first offset>` for the dead-letter topic, and
`<job>/undecodable/<partition>/<first offset>` for the undecodable topic. `<job>/barrier/0` is no mark,
but a row that releases without purges take for one that they cannot read, so that they redrive nothing.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from hookstream.core.jobs.row_problem import RowProblem, json_of, unreadable
from hookstream.core.model.instant import Millis, from_rfc3339, to_rfc3339
from hookstream.core.model.json import Json

MAX_OFFSETS = 10_000
"""The most offsets in a mark of a redrive: about 80 KB of JSON, far below the limit of a record."""
MAX_RANGES = 10_000
"""The most ranges in a mark of a purge: at most 450 KB of JSON, whatever its offsets are."""
MAX_OFFSET = 2**63 - 1
"""The largest offset that a log can have."""
MAX_WHY = 500
"""The longest reason of a purge, in characters."""
MAX_BY = 200
"""The longest name of the person who purged, in characters."""

MAX_TOPIC_ID = 64
"""The longest id of a topic, in characters."""

MARK_FORMAT = 1
"""The format of a redrive's marks, which every release reads."""
RANGES_FORMAT = 2
"""The format of marks with ranges. Releases that do not know it refuse to redrive."""

_PURGED = "purged"
_BARRIER = "barrier"


class RedriveSource(StrEnum):
    """The topic that a redrive or purge reads: dead letters, or undecodable records."""

    DEAD_LETTERS = "dead-letters"
    UNDECODABLE = "undecodable"


TopicIds: TypeAlias = Mapping[RedriveSource, str]
"""The ids that both topics have now; empty, or left out: not known, as with brokers that have no ids."""


def is_another(topic_id: str, now: str) -> bool:
    """Return whether the topic of a row was deleted, and created again under its name.

    Args:
        topic_id: The id in the row; empty: not known, and the topic is taken for the present one.
        now: The id that the topic has now; empty: not known.
    """
    return bool(topic_id and now) and topic_id != now


class Position(NamedTuple):
    """The position of a record within its topic."""

    partition: int
    offset: int

    def __str__(self) -> str:
        """Return the text used on the command line, `3@1042`."""
        return f"{self.partition}@{self.offset}"


_POSITION = re.compile("([0-9]{1,9})@([0-9]{1,19})")


def read_position(text: str) -> Position | None:
    """Read the text of a position; None: it is none, or no log can have its offset."""
    found = _POSITION.fullmatch(text)
    if found is None or int(found[2]) > MAX_OFFSET:
        return None
    return Position(int(found[1]), int(found[2]))


class OffsetRange(NamedTuple):
    """Consecutive offsets, both ends included."""

    first: int
    last: int


OffsetRanges: TypeAlias = tuple[OffsetRange, ...]


class Purged(NamedTuple):
    """Who purged records, why, and when that was requested."""

    by: str
    """At most `MAX_BY` characters."""
    why: str
    """At most `MAX_WHY` characters."""
    at: Millis


class Mark(NamedTuple):
    """One value of the jobs table: the records at these offsets are resolved."""

    job_id: str
    source: RedriveSource
    partition: int
    ranges: OffsetRanges
    """In the order of resolution: 1 to `MAX_RANGES`; of a redrive, together 1 to `MAX_OFFSETS` offsets."""
    purged: Purged | None = None
    """None: they were redriven."""
    topic_id: str = ""
    """The id of their topic; empty: not known, as in marks of earlier releases."""

    def applies_to(self, now: TopicIds) -> bool:
        """Return whether its records are of the topic as it is now, not of one that was deleted."""
        return not is_another(self.topic_id, now.get(self.source, ""))

    @property
    def key(self) -> str:
        """The key of its row."""
        middle = "undecodable/" if self.source is RedriveSource.UNDECODABLE else ""
        return f"{self.job_id}/{middle}{self.partition}/{self.ranges[0].first}"

    def encode(self) -> bytes:
        """Return the value of its row."""
        row: dict[str, Json] = {"format": MARK_FORMAT, "revision": 1, "partition": self.partition}
        if self.purged is None:
            row["offsets"] = [
                at for each in self.ranges for at in range(each.first, each.last + 1)
            ]
        else:
            row |= {
                "format": RANGES_FORMAT,
                "kind": _PURGED,
                "ranges": [
                    each.first if each.first == each.last else list(each) for each in self.ranges
                ],
                "by": self.purged.by,
                "why": self.purged.why,
                "at": to_rfc3339(self.purged.at),
            }
        if self.topic_id:
            row["topic_id"] = self.topic_id
        return json.dumps(row, separators=(",", ":")).encode()


def barrier_key(job_id: str) -> str:
    """Return the key of the barrier of a purge."""
    return f"{job_id}/{_BARRIER}/0"


def barrier() -> bytes:
    """Return the value of a barrier.

    A release without purges takes the row for a mark of a format that it cannot read, of records that
    it does not know, and so refuses to redrive either topic as long as the row is there.
    """
    row = {"format": RANGES_FORMAT, "revision": 1, "kind": _BARRIER}
    return json.dumps(row, separators=(",", ":")).encode()


def barrier_of(key: str) -> str | None:
    """Return the job whose barrier has this key, or None: it is another row's key."""
    parts = key.split("/")
    return parts[0] if parts[1:] == [_BARRIER, "0"] else None


def read_mark(key: str, value: bytes) -> Mark | RowProblem | None:
    """Read one row of the jobs table; None if its key is not a mark's (a job's own row, a barrier).

    While a mark cannot be read, its records would count as open.
    """
    source = _source_of(key)
    if source is None:
        return None
    job_id = key.partition("/")[0]
    match json_of(key, value):
        case RowProblem() as problem:
            return problem
        case {"format": int(version)} if version not in (MARK_FORMAT, RANGES_FORMAT):
            return unreadable(key, f"format {version} is newer than this release reads")
        case {"topic_id": given} if not is_topic_id(given):
            return RowProblem(key, f"its topic_id is no text of at most {MAX_TOPIC_ID} characters")
        case {"format": 2, **row}:
            return _ranged(key, job_id, source, row)
        case {"partition": int(partition), "offsets": [*offsets], **row} if _are_offsets(offsets):
            return Mark(
                job_id, source, partition, extended((), offsets), topic_id=_topic_id_of(row)
            )
        case _:
            return RowProblem(key, "it lacks a partition or a list of offsets")


def _source_of(key: str) -> RedriveSource | None:
    """Return the topic of a mark's records; None: the key is another row's."""
    match key.split("/"):
        case [_, "barrier", "0"]:
            return None
        case [_, _, _]:
            return RedriveSource.DEAD_LETTERS
        case [_, "undecodable", _, _]:
            return RedriveSource.UNDECODABLE
        case _:
            return None


def _ranged(
    key: str, job_id: str, source: RedriveSource, row: Mapping[object, object]
) -> Mark | RowProblem:
    """Return a mark of the format with ranges."""
    match row:
        case {"partition": int(partition), "ranges": [*given]}:
            ranges = _offset_ranges(given)
        case _:
            return RowProblem(key, "it lacks a partition or a list of ranges")
    if ranges is None:
        return RowProblem(key, f"its ranges are not 1 to {MAX_RANGES:,} offsets and pairs of them")
    mark = Mark(job_id, source, partition, ranges, topic_id=_topic_id_of(row))
    match row:
        case {"kind": "redriven"}:
            return mark
        case {"kind": "purged", "by": str(by), "why": str(why), "at": str(at)}:
            try:
                moment = from_rfc3339(at)
            except ValueError as problem:
                return unreadable(key, f"`at`: {problem}")
            return mark._replace(purged=Purged(by[:MAX_BY], why[:MAX_WHY], moment))
        case {"kind": "purged"}:
            return RowProblem(key, "it does not say who purged, why and when")
        case _:
            return unreadable(key, f"its kind {row.get('kind')!r} needs a newer release")


def is_topic_id(value: object) -> bool:
    """Return whether a value of a row may be the id of a topic; an empty one says that it is not known."""
    return isinstance(value, str) and len(value) <= MAX_TOPIC_ID


def _topic_id_of(row: Mapping[object, object]) -> str:
    return str(row.get("topic_id", ""))


def _is_offset(value: object) -> bool:
    return type(value) is int and 0 <= value <= MAX_OFFSET


def _offset_ranges(given: list[object]) -> OffsetRanges | None:
    if not 0 < len(given) <= MAX_RANGES:
        return None
    ranges: list[OffsetRange] = []
    for each in given:
        match each:
            case int(only) if _is_offset(only):
                ranges.append(OffsetRange(only, only))
            case [int(first), int(last)] if _is_offset(first) and _is_offset(last):
                if first > last:
                    return None
                ranges.append(OffsetRange(first, last))
            case _:
                return None
    return tuple(ranges)


def _are_offsets(values: list[object]) -> bool:
    return 0 < len(values) <= MAX_OFFSETS and all(map(_is_offset, values))


def extended(ranges: OffsetRanges, offsets: Iterable[int]) -> OffsetRanges:
    """Return ranges with more offsets, in the given order; one that follows its predecessor extends it."""
    found = list(ranges[:-1])
    first, last = ranges[-1] if ranges else (-1, -2)
    for offset in offsets:
        if offset == last + 1:
            last = offset
            continue
        if first <= last:
            found.append(OffsetRange(first, last))
        first = last = offset
    if first <= last:
        found.append(OffsetRange(first, last))
    return tuple(found)


@dataclass(slots=True)
class MarkBook:
    """The marks that one run of a job writes: each grows to its bound, then a new one begins.

    A grown mark keeps its key, so compaction leaves one row for it. A resumed run starts marks of
    its own; their keys differ, since no record is resolved twice.
    """

    job_id: str
    source: RedriveSource
    most: int = MAX_OFFSETS
    """The most offsets of one mark; the most ranges, if `purged` is given."""
    purged: Purged | None = None
    """None: the records are redriven."""
    topic_id: str = ""
    """The id of the topic; empty: not known."""
    _latest: dict[int, Mark] = field(default_factory=dict)

    def trial(self) -> "MarkBook":
        """Return a copy to continue with: keep it if its marks are committed, otherwise discard it."""
        return replace(self, _latest=dict(self._latest))

    def resolve(self, positions: Iterable[Position]) -> list[Mark]:
        """Return the rows to write for newly resolved records; each is the whole new value of its mark."""
        fresh: dict[int, list[int]] = defaultdict(list)
        for partition, offset in positions:
            fresh[partition].append(offset)
        marks: list[Mark] = []
        for partition, offsets in fresh.items():
            latest = self._latest.get(partition)
            grows = latest is not None and self._size(latest.ranges) < self.most
            ranges = latest.ranges if latest is not None and grows else ()
            marks.extend(
                Mark(self.job_id, self.source, partition, chunk, self.purged, self.topic_id)
                for chunk in self._chunks(ranges, offsets)
            )
            self._latest[partition] = marks[-1]
        return marks

    def _size(self, ranges: OffsetRanges) -> int:
        if self.purged is not None:
            return len(ranges)
        return sum(each.last - each.first + 1 for each in ranges)

    def _chunks(self, ranges: OffsetRanges, offsets: list[int]) -> Iterator[OffsetRanges]:
        """Yield the ranges of each row, of which the first continues `ranges`."""
        if self.purged is not None:
            grown = extended(ranges, offsets)
            for start in range(0, len(grown), self.most):
                yield grown[start : start + self.most]
            return
        offsets = [at for each in ranges for at in range(each.first, each.last + 1)] + offsets
        for start in range(0, len(offsets), self.most):
            yield extended((), offsets[start : start + self.most])


def topic_id_of_marks(rows: Mapping[str, bytes], job_id: str) -> str:
    """Return the id by which a job's marks name its topic; empty: it has none with an id.

    Args:
        rows: The jobs table.
        job_id: The job.
    """
    for key, value in rows.items():
        if key.startswith(f"{job_id}/"):
            mark = read_mark(key, value)
            if isinstance(mark, Mark) and mark.topic_id:
                return mark.topic_id
    return ""


def outlived(
    rows: Mapping[str, bytes],
    starts: Mapping[tuple[RedriveSource, int], int],
    topic_ids: TopicIds,
) -> list[str]:
    """Return the keys of marks that can be removed: all of their records were deleted, or their topic was.

    Args:
        rows: The jobs table.
        starts: The log start offset of each partition.
        topic_ids: The ids that both topics have now.
    """
    keys: list[str] = []
    for key, value in rows.items():
        mark = read_mark(key, value)
        if isinstance(mark, Mark):
            if not mark.applies_to(topic_ids):
                keys.append(key)
                continue
            start = starts.get((mark.source, mark.partition))
            if start is not None and max(each.last for each in mark.ranges) < start:
                keys.append(key)
    return keys
