"""Laws of marks: what a job marked is resolved by it, nothing else is, no row outgrows its bound."""

import json
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.redrive.ledger import Ledger, ResolvedBy, read_ledger
from hookstream.core.redrive.marks import (
    Mark,
    MarkBook,
    OffsetRange,
    Position,
    Purged,
    RedriveSource,
    barrier,
    barrier_key,
)

ADA = Purged("ada@ops", "sent by mail", 1_795_000_000_000)
KINDS = st.sampled_from([None, ADA])
EVERYWHERE = [Position(partition, offset) for partition in range(3) for offset in range(51)]


def size(mark: Mark) -> int:
    return (
        len(mark.ranges) if mark.purged else sum(1 + last - first for first, last in mark.ranges)
    )


@given(
    source=st.sampled_from(RedriveSource),
    batches=st.lists(st.lists(st.integers(0, 50), max_size=8), max_size=8),
    most=st.integers(1, 5),
    kinds=st.lists(KINDS, min_size=1, max_size=3),
)
def test_marks_resolve_exactly_what_each_run_of_a_job_marked(
    source: RedriveSource, batches: list[list[int]], most: int, kinds: list[Purged | None]
) -> None:
    """Rows replace each other by key, as compaction does; a resumed run reads them again."""
    rows: dict[str, bytes] = {}
    model: dict[Position, ResolvedBy] = {}
    books = [MarkBook(f"j{at // 2}", source, most, kind) for at, kind in enumerate(kinds)]
    for turn, batch in enumerate(batches):
        book = books[turn * len(books) // len(batches)]
        fresh = {Position(number % 3, number) for number in batch} - set(model)
        model |= dict.fromkeys(fresh, ResolvedBy(book.job_id, book.purged))
        marks = book.resolve(sorted(fresh))
        rows |= {mark.key: mark.encode() for mark in marks}
        assert all(0 < size(mark) <= most for mark in marks)
    ledger, problems = read_ledger(rows, {})
    found = {each: ledger.resolved_by(source, each) for each in EVERYWHERE}
    assert {each: by for each, by in found.items() if by is not None} == model
    assert problems == []


@given(
    marks=st.lists(
        st.tuples(
            st.integers(0, 3),
            KINDS,
            st.lists(st.tuples(st.integers(0, 40), st.integers(0, 10)), min_size=1, max_size=4),
            st.booleans(),
        ),
        max_size=8,
    )
)
def test_of_overlapping_marks_the_job_that_was_added_first_is_kept(
    marks: list[tuple[int, Purged | None, list[tuple[int, int]], bool]],
) -> None:
    """A crash or a defect may leave two marks of one record: it is resolved once, and not open."""
    ledger, dead = Ledger(), RedriveSource.DEAD_LETTERS
    jobs: list[ResolvedBy] = []
    claimed: dict[int, list[ResolvedBy]] = {}
    for number, purged, drawn, asked in marks:
        by = ResolvedBy(f"job-{number}", purged)
        jobs += [by] if by not in jobs else []
        ranges = tuple(OffsetRange(first, first + more) for first, more in drawn)
        ledger.add(Mark(by.job_id, dead, 0, ranges, purged))
        for each in ranges:
            for offset in range(each.first, each.last + 1):
                claimed.setdefault(offset, []).append(by)
        if asked:
            ledger.is_open(dead, Position(0, 20))
    for offset in range(52):
        by_all = claimed.get(offset, [])
        expected = min(by_all, key=jobs.index) if by_all else None
        assert ledger.resolved_by(dead, Position(0, offset)) == expected


def as_the_release_before(rows: Mapping[str, bytes]) -> tuple[set[tuple[int, int]], list[str]]:
    """Return the resolved dead letters and the unreadable rows, by the rule of the first release.

    It knows marks of format 1 alone, and refuses to redrive while there is a row that it cannot read.
    """
    resolved: set[tuple[int, int]] = set()
    unreadable: list[str] = []
    for key, value in rows.items():
        steps = key.split("/")
        if len(steps) not in (3, 4) or (len(steps) == 4 and steps[1] != "undecodable"):
            continue
        row = json.loads(value)
        if row.get("format", 1) != 1 or not row.get("offsets") or "partition" not in row:
            unreadable.append(key)
        elif len(steps) == 3:
            resolved |= {(row["partition"], offset) for offset in row["offsets"]}
    return resolved, unreadable


@given(
    source=st.sampled_from(RedriveSource),
    numbers=st.sets(st.integers(0, 50), min_size=1, max_size=20),
    kind=KINDS,
    most=st.integers(1, 5),
)
def test_the_release_before_reads_marks_of_redrives_and_refuses_those_of_purges(
    source: RedriveSource, numbers: set[int], kind: Purged | None, most: int
) -> None:
    marks = MarkBook("j", source, most, kind).resolve(Position(n % 3, n) for n in sorted(numbers))
    rows = {mark.key: mark.encode() for mark in marks}
    resolved, unreadable = as_the_release_before(rows)
    if kind is None:
        ours = numbers if source is RedriveSource.DEAD_LETTERS else set()
        assert (resolved, unreadable) == ({(n % 3, n) for n in ours}, [])
    else:
        assert (resolved, sorted(unreadable)) == (set(), sorted(rows))


def test_the_release_before_redrives_nothing_while_there_is_a_barrier() -> None:
    assert as_the_release_before({barrier_key("p"): barrier()}) == (set(), [barrier_key("p")])
