"""Marks list which dead letters are resolved; all others are open."""

import json

import pytest

from hookstream.core.jobs.row_problem import RowProblem
from hookstream.core.redrive.marks import (
    MAX_OFFSET,
    MAX_OFFSETS,
    MAX_RANGES,
    Mark,
    MarkBook,
    OffsetRange,
    Position,
    Purged,
    RedriveSource,
    barrier,
    barrier_key,
    barrier_of,
    extended,
    outlived,
    read_mark,
)

DEAD = RedriveSource.DEAD_LETTERS
NOON = 1_795_000_000_000
ADA = Purged("ada@ops", "sent by mail", NOON)


def redriven(job_id: str, partition: int, *offsets: int) -> Mark:
    return Mark(job_id, DEAD, partition, extended((), offsets))


def test_keys_of_marks_are_the_documented_ones() -> None:
    keys = [Mark("j", source, 2, (OffsetRange(40, 41),)).key for source in RedriveSource]
    assert keys == ["j/2/40", "j/undecodable/2/40"]


def test_a_marks_value_is_the_documented_json() -> None:
    row = json.loads(redriven("j", 2, 40, 41).encode())
    assert row == {"format": 1, "revision": 1, "partition": 2, "offsets": [40, 41]}


def test_a_mark_grows_under_its_first_key() -> None:
    """Compaction then leaves one row for ten thousand dead letters, not one a transaction."""
    book = MarkBook("j", DEAD)
    book.resolve([Position(0, 5), Position(1, 7)])
    marks = book.resolve([Position(0, 9)])
    assert marks == [redriven("j", 0, 5, 9)]


def test_a_full_mark_is_followed_by_another() -> None:
    book = MarkBook("j", DEAD, most=2)
    marks = book.resolve([Position(0, 1), Position(0, 2), Position(0, 4)])
    assert marks == [redriven("j", 0, 1, 2), redriven("j", 0, 4)]
    assert book.resolve([Position(0, 6), Position(0, 8)]) == [
        redriven("j", 0, 4, 6),
        redriven("j", 0, 8),
    ]


def test_a_full_mark_is_not_written_again() -> None:
    book = MarkBook("j", DEAD, most=2)
    book.resolve([Position(0, 1), Position(0, 2)])
    assert book.resolve([Position(0, 3)]) == [redriven("j", 0, 3)]


def test_a_mark_over_its_bound_is_a_problem() -> None:
    apart = tuple(OffsetRange(at, at) for at in range(0, 2 * MAX_RANGES + 2, 2))
    for mark in (
        redriven("j", 0, *range(MAX_OFFSETS + 1)),
        Mark("j", DEAD, 0, apart, ADA),
    ):
        assert isinstance(read_mark(mark.key, mark.encode()), RowProblem)


def test_the_longest_mark_of_a_purge_is_within_the_limit_of_a_record() -> None:
    far = MAX_OFFSET - 3 * MAX_RANGES
    ranges = tuple(OffsetRange(far + 3 * at, far + 3 * at + 1) for at in range(MAX_RANGES))
    assert len(Mark("j", DEAD, 0, ranges, ADA).encode()) < 450_000


def test_a_purges_mark_is_the_documented_json() -> None:
    mark = Mark("p", DEAD, 2, (OffsetRange(5, 5), OffsetRange(7, 9)), ADA)
    assert json.loads(mark.encode()) == {
        "format": 2,
        "revision": 1,
        "kind": "purged",
        "partition": 2,
        "ranges": [5, [7, 9]],
        "by": "ada@ops",
        "why": "sent by mail",
        "at": "2026-11-18T11:06:40.000Z",
    }
    assert read_mark(mark.key, mark.encode()) == mark


def test_ranges_of_a_redrive_are_read_too() -> None:
    """So that a later release may write them."""
    row = b'{"format":2,"kind":"redriven","partition":0,"ranges":[[3,5]]}'
    assert read_mark("j/0/3", row) == redriven("j", 0, 3, 4, 5)


@pytest.mark.parametrize(
    "changed",
    [
        {"kind": "archived"},
        {"kind": None},
        {"by": 7},
        {"why": None},
        {"at": "noon"},
        {"ranges": []},
        {"ranges": [[5, 4]]},
        {"ranges": [-1]},
        {"ranges": [True]},
        {"ranges": [MAX_OFFSET + 1]},
        {"ranges": [[1, 2, 3]]},
        {"ranges": "1"},
        {"partition": "0"},
        {"format": 3},
    ],
)
def test_a_mark_that_this_release_does_not_wholly_know_is_a_problem(
    changed: dict[str, object],
) -> None:
    """Skipped, it would leave open what was resolved."""
    row = json.loads(Mark("p", DEAD, 0, (OffsetRange(5, 9),), ADA).encode()) | changed
    assert isinstance(read_mark("p/0/5", json.dumps(row).encode()), RowProblem)


def test_a_purges_marks_are_ranges_and_grow_under_their_first_key() -> None:
    book = MarkBook("p", DEAD, most=2, purged=ADA)
    book.resolve([Position(0, 5), Position(0, 6)])
    marks = book.resolve([Position(0, 7), Position(0, 9), Position(0, 11)])
    assert [(mark.key, mark.ranges) for mark in marks] == [
        ("p/0/5", (OffsetRange(5, 7), OffsetRange(9, 9))),
        ("p/0/11", (OffsetRange(11, 11),)),
    ]


def test_a_million_dead_letters_purged_together_are_one_row() -> None:
    """Each step writes one small row again, under one key."""
    book, rows = MarkBook("p", DEAD, purged=ADA), dict[str, bytes]()
    for start in range(0, 1_000_000, 10_000):
        for mark in book.resolve(Position(0, at) for at in range(start, start + 10_000)):
            rows[mark.key] = mark.encode()
    assert {key: json.loads(row)["ranges"] for key, row in rows.items()} == {
        "p/0/0": [[0, 999_999]]
    }


def test_a_barrier_is_no_mark() -> None:
    key = barrier_key("purge-1")
    assert (read_mark(key, barrier()), barrier_of(key)) == (None, "purge-1")
    assert [barrier_of(other) for other in ("p", "p/0/1", "p/barrier/1")] == [None] * 3


@pytest.mark.parametrize("purged", [None, ADA], ids=["redriven", "purged"])
def test_a_mark_of_a_topic_that_was_deleted_does_not_apply_to_its_successor(
    purged: Purged | None,
) -> None:
    """Offsets begin again: it would hide other records."""
    mark = Mark("j", DEAD, 0, (OffsetRange(1, 3),), purged, topic_id="a1")
    assert read_mark(mark.key, mark.encode()) == mark
    assert mark.applies_to({DEAD: "a1"})
    assert not mark.applies_to({DEAD: "b2"})
    assert outlived({mark.key: mark.encode()}, {(DEAD, 0): 0}, {DEAD: "b2"}) == [mark.key]
    assert outlived({mark.key: mark.encode()}, {(DEAD, 0): 0}, {DEAD: "a1"}) == []


def test_a_mark_applies_if_the_topic_of_either_is_not_known() -> None:
    """As an earlier release's, or with brokers that have no ids."""
    mark = Mark("j", DEAD, 0, (OffsetRange(1, 3),))
    assert mark.applies_to({DEAD: "a1"})
    assert mark._replace(topic_id="a1").applies_to({DEAD: ""})
    assert mark._replace(topic_id="a1").applies_to({})


@pytest.mark.parametrize("given", [7, None, "x" * 65, ["a1"]])
@pytest.mark.parametrize("purged", [None, ADA], ids=["redriven", "purged"])
def test_a_topic_id_that_is_none_is_a_problem(given: object, purged: Purged | None) -> None:
    row = json.loads(Mark("p", DEAD, 0, (OffsetRange(5, 9),), purged).encode())
    assert isinstance(
        read_mark("p/0/5", json.dumps(row | {"topic_id": given}).encode()), RowProblem
    )


def test_a_book_names_the_topic_in_each_mark() -> None:
    book = MarkBook("j", DEAD, topic_id="a1")
    later = book.trial()
    marks = [*book.resolve([Position(0, 5)]), *later.resolve([Position(0, 6)])]
    assert [mark.topic_id for mark in marks] == ["a1", "a1"]


def test_a_newer_releases_fields_are_ignored() -> None:
    mark = read_mark("j/0/1", b'{"format":1,"partition":0,"offsets":[1],"who":"eve"}')
    assert mark == redriven("j", 0, 1)


def test_a_jobs_own_row_is_no_mark() -> None:
    assert read_mark("j", b"{}") is None


def test_marks_are_obsolete_when_the_log_starts_after_their_last_dead_letter() -> None:
    rows = {
        mark.key: mark.encode()
        for mark in (
            redriven("j", 0, 1, 9),
            redriven("j", 1, 4),
            Mark("p", DEAD, 0, (OffsetRange(2, 8),), ADA),
            Mark("p", DEAD, 1, (OffsetRange(2, 5),), ADA),
        )
    }
    starts = {(DEAD, 0): 9, (DEAD, 1): 5, (RedriveSource.UNDECODABLE, 0): 100}
    assert outlived(rows, starts, {}) == ["j/1/4", "p/0/2"]
