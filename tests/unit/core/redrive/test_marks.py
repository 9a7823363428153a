"""Marks list which dead letters are resolved; all others are open."""

import json

from hookstream.core.redrive.marks import (
    MAX_OFFSETS,
    Ledger,
    Mark,
    MarkBook,
    Position,
    RedriveSource,
    RowProblem,
    outlived,
    read_ledger,
    read_mark,
)

DEAD = RedriveSource.DEAD_LETTERS


def test_a_dead_letter_is_open_until_a_mark_names_its_position() -> None:
    ledger = Ledger()
    ledger.add(Mark("night", DEAD, 3, (10, 12)))
    opened = [ledger.is_open(DEAD, Position(3, offset)) for offset in (10, 11, 12)]
    assert opened == [False, True, False]


def test_the_same_offset_of_the_other_topic_stays_open() -> None:
    ledger = Ledger()
    ledger.add(Mark("night", RedriveSource.UNDECODABLE, 3, (10,)))
    assert ledger.is_open(DEAD, Position(3, 10))
    assert ledger.resolved_by(RedriveSource.UNDECODABLE, Position(3, 10)) == "night"


def test_the_first_job_that_resolved_a_dead_letter_is_the_recorded_one() -> None:
    ledger = Ledger()
    ledger.add(Mark("first", DEAD, 0, (1,)))
    ledger.add(Mark("second", DEAD, 0, (1,)))
    assert ledger.resolved_by(DEAD, Position(0, 1)) == "first"


def test_keys_of_marks_are_the_documented_ones() -> None:
    keys = [Mark("j", source, 2, (40, 41)).key for source in RedriveSource]
    assert keys == ["j/2/40", "j/undecodable/2/40"]


def test_a_marks_value_is_the_documented_json() -> None:
    row = json.loads(Mark("j", DEAD, 2, (40, 41)).encode())
    assert row == {"format": 1, "revision": 1, "partition": 2, "offsets": [40, 41]}


def test_a_mark_grows_under_its_first_key() -> None:
    """Compaction then leaves one row for ten thousand dead letters, not one a transaction."""
    book = MarkBook("j", DEAD)
    book.resolve([Position(0, 5), Position(1, 7)])
    marks = book.resolve([Position(0, 9)])
    assert marks == [Mark("j", DEAD, 0, (5, 9))]


def test_a_full_mark_is_followed_by_another() -> None:
    book = MarkBook("j", DEAD, most=2)
    marks = book.resolve([Position(0, 1), Position(0, 2), Position(0, 4)])
    assert marks == [Mark("j", DEAD, 0, (1, 2)), Mark("j", DEAD, 0, (4,))]
    assert book.resolve([Position(0, 6), Position(0, 8)]) == [
        Mark("j", DEAD, 0, (4, 6)),
        Mark("j", DEAD, 0, (8,)),
    ]


def test_a_full_mark_is_not_written_again() -> None:
    book = MarkBook("j", DEAD, most=2)
    book.resolve([Position(0, 1), Position(0, 2)])
    assert book.resolve([Position(0, 3)]) == [Mark("j", DEAD, 0, (3,))]


def test_an_unreadable_mark_is_a_problem_and_not_an_empty_mark() -> None:
    """Taken as empty, it would let a dead letter be redriven twice."""
    ledger, problems = read_ledger(
        {
            "j/0/1": b"{",
            "j/0/2": b'{"format":2,"partition":0,"offsets":[2]}',
            "j/0/3": b'{"format":1,"partition":0,"offsets":[true]}',
            "j/0/4": b'{"format":1,"partition":0,"offsets":[]}',
            "j/0/5": b'{"format":1,"partition":0,"offsets":[5]}',
        }
    )
    assert [problem.key for problem in problems] == ["j/0/1", "j/0/2", "j/0/3", "j/0/4"]
    assert not ledger.is_open(DEAD, Position(0, 5))


def test_a_mark_over_its_bound_is_a_problem() -> None:
    mark = Mark("j", DEAD, 0, tuple(range(MAX_OFFSETS + 1)))
    assert isinstance(read_mark(mark.key, mark.encode()), RowProblem)


def test_a_newer_releases_fields_are_ignored() -> None:
    mark = read_mark("j/0/1", b'{"format":1,"partition":0,"offsets":[1],"who":"eve"}')
    assert mark == Mark("j", DEAD, 0, (1,))


def test_a_jobs_own_row_is_no_mark() -> None:
    assert read_mark("j", b"{}") is None


def test_marks_are_obsolete_when_the_log_starts_after_their_last_dead_letter() -> None:
    rows = {
        mark.key: mark.encode() for mark in (Mark("j", DEAD, 0, (1, 9)), Mark("j", DEAD, 1, (4,)))
    }
    starts = {(DEAD, 0): 9, (DEAD, 1): 5, (RedriveSource.UNDECODABLE, 0): 100}
    assert outlived(rows, starts) == ["j/1/4"]
