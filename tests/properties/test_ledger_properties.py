"""Laws of marks: nothing resolved is open, nothing else is resolved, no row outgrows its bound."""

from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.redrive.marks import MarkBook, Position, RedriveSource, read_ledger


@given(
    source=st.sampled_from(RedriveSource),
    batches=st.lists(st.lists(st.integers(0, 50), max_size=8), max_size=8),
    most=st.integers(1, 5),
    runs=st.integers(1, 3),
)
def test_marks_resolve_exactly_what_any_run_of_a_job_marked(
    source: RedriveSource, batches: list[list[int]], most: int, runs: int
) -> None:
    """Rows replace each other by key, as compaction does; a resumed run reads them again."""
    remaining = {Position(number % 3, number) for batch in batches for number in batch}
    rows: dict[str, bytes] = {}
    marked: set[Position] = set()
    books = [MarkBook("j", source, most) for _ in range(runs)]
    for turn, batch in enumerate(batches):
        fresh = {Position(number % 3, number) for number in batch} & remaining
        remaining -= fresh
        marked |= fresh
        marks = books[turn * runs // len(batches)].resolve(sorted(fresh))
        rows |= {mark.key: mark.encode() for mark in marks}
        assert all(0 < len(mark.offsets) <= most for mark in marks)
    ledger, problems = read_ledger(rows)
    everywhere = {Position(partition, offset) for partition in range(3) for offset in range(51)}
    assert {position for position in everywhere if not ledger.is_open(source, position)} == marked
    assert problems == []
