"""The ledger says of each position whether it is open, or what resolved it."""

from hookstream.core.redrive.ledger import Ledger, ResolvedBy, read_ledger
from hookstream.core.redrive.marks import (
    Mark,
    OffsetRange,
    Position,
    Purged,
    RedriveSource,
    barrier,
    barrier_key,
)

DEAD = RedriveSource.DEAD_LETTERS
ADA = Purged("ada@ops", "sent by mail", 1_795_000_000_000)


def mark(job_id: str, first: int, last: int, purged: Purged | None = None) -> Mark:
    return Mark(job_id, DEAD, 3, (OffsetRange(first, last),), purged)


def test_a_dead_letter_is_open_until_a_mark_names_its_position() -> None:
    ledger = Ledger()
    ledger.add(Mark("night", DEAD, 3, (OffsetRange(10, 10), OffsetRange(12, 12))))
    opened = [ledger.is_open(DEAD, Position(3, offset)) for offset in (9, 10, 11, 12, 13)]
    assert opened == [True, False, True, False, True]


def test_the_same_offset_of_the_other_topic_stays_open() -> None:
    ledger, other = Ledger(), RedriveSource.UNDECODABLE
    ledger.add(Mark("night", other, 3, (OffsetRange(10, 10),)))
    assert ledger.is_open(DEAD, Position(3, 10))
    assert ledger.resolved_by(other, Position(3, 10)) == ResolvedBy("night")


def test_the_first_job_that_resolved_a_dead_letter_is_the_recorded_one() -> None:
    ledger = Ledger()
    for each in (mark("first", 4, 5), mark("second", 1, 9, ADA), mark("third", 8, 12)):
        ledger.add(each)
    found = [ledger.resolved_by(DEAD, Position(3, offset)) for offset in (3, 4, 6, 9, 10, 13)]
    first, second, third = ResolvedBy("first"), ResolvedBy("second", ADA), ResolvedBy("third")
    assert found == [second, first, second, second, third, None]


def test_marks_that_are_added_after_a_question_count_too() -> None:
    ledger = Ledger()
    ledger.add(mark("a", 1, 2))
    assert not ledger.is_open(DEAD, Position(3, 2))
    ledger.add(mark("b", 2, 3))
    assert ledger.resolved_by(DEAD, Position(3, 2)) == ResolvedBy("a")
    assert ledger.resolved_by(DEAD, Position(3, 3)) == ResolvedBy("b")


def test_a_resolution_says_what_was_done_by_whom_and_why() -> None:
    assert str(ResolvedBy("redrive-1")) == "redriven by redrive-1"
    assert str(ResolvedBy("purge-1", ADA)) == "purged by ada@ops (job purge-1): sent by mail"


def test_an_unreadable_mark_is_a_problem_and_not_an_empty_mark() -> None:
    """Taken as empty, it would let a dead letter be redriven twice."""
    ledger, problems = read_ledger(
        {
            "j/0/1": b"{",
            "j/0/2": b'{"format":3,"partition":0,"offsets":[2]}',
            "j/0/3": b'{"format":1,"partition":0,"offsets":[true]}',
            "j/0/4": b'{"format":1,"partition":0,"offsets":[]}',
            "j/0/5": b'{"format":1,"partition":0,"offsets":[5]}',
            barrier_key("p"): barrier(),
        },
        {},
    )
    assert [problem.key for problem in problems] == ["j/0/1", "j/0/2", "j/0/3", "j/0/4"]
    assert not ledger.is_open(DEAD, Position(0, 5))


def test_what_was_resolved_in_a_topic_that_was_deleted_is_open_in_its_successor() -> None:
    old = Mark("j", DEAD, 0, (OffsetRange(0, 4),), topic_id="a1")
    new = Mark("k", DEAD, 0, (OffsetRange(2, 2),), topic_id="b2")
    ledger, problems = read_ledger({each.key: each.encode() for each in (old, new)}, {DEAD: "b2"})
    resolved = [ledger.resolved_by(DEAD, Position(0, at)) for at in range(4)]
    assert (resolved, problems) == ([None, None, ResolvedBy("k"), None], [])
