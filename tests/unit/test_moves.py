"""The storm detects each move of a partition: by its owner, and by the workers that gave it up."""

import json
from pathlib import Path

import pytest
from chaos.topics import Positions
from chaos.watch import WorkersLog, moves_between
from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.model.listing import partition_ranges
from hookstream.core.model.record import TopicPartition

HERE, THERE = ("events", 0), ("events", 1)
BEFORE = Positions({HERE: 7, THERE: 9}, {HERE: 12, THERE: 9})


def test_a_partition_that_is_assigned_to_another_worker_has_moved_with_what_was_unsettled() -> (
    None
):
    [move] = moves_between({HERE: "a", THERE: "b"}, {HERE: "b", THERE: "b"}, {}, BEFORE, 5.0)

    assert move.before == Positions({HERE: 7}, {HERE: 12})
    assert move.before.open(HERE, 11)


def test_a_partition_that_returned_between_two_checks_has_moved_as_often_as_it_was_revoked() -> (
    None
):
    moves = moves_between({HERE: "a"}, {HERE: "a"}, {HERE: 2}, BEFORE, 5.0)

    assert [set(move.before.ends) for move in moves] == [{HERE}, {HERE}]


def test_a_move_that_both_the_broker_and_a_worker_report_is_one() -> None:
    moves = moves_between({HERE: "a"}, {HERE: "b"}, {HERE: 1}, BEFORE, 5.0)

    assert len(moves) == 1


def line_of(*partitions: tuple[str, int], most: int = 48) -> bytes:
    names = partition_ranges([TopicPartition(*each) for each in partitions], most)
    fields = {"names": names, "count": len(partitions), "event": "partitions.revoked"}
    return json.dumps(fields).encode() + b"\n"


def test_reading_a_log_continues_from_the_middle_of_a_line(tmp_path: Path) -> None:
    line = line_of(("events", 0), ("a.b", 12))
    file = tmp_path / "worker.log"
    log = WorkersLog(file)
    assert list(log.given_up()) == []
    file.write_bytes(b'{"event":"attempt"}\n' + line + line[:20])
    assert list(log.given_up()) == [("a.b", 12), ("events", 0)]
    with file.open("ab") as more:
        more.write(line[20:])
    assert list(log.given_up()) == [("a.b", 12), ("events", 0)]


@given(
    partitions=st.sets(
        st.tuples(st.sampled_from(["orders", "orders.retry.1s", "o-2"]), st.integers(0, 12))
    )
)
def test_every_partition_that_a_worker_gave_up_is_read_from_its_line(
    tmp_path_factory: pytest.TempPathFactory, partitions: set[tuple[str, int]]
) -> None:
    file = tmp_path_factory.mktemp("log") / "worker.log"
    file.write_bytes(line_of(*partitions))

    assert list(WorkersLog(file).given_up()) == sorted(partitions)


def test_a_line_that_leaves_partitions_out_ends_the_storm(tmp_path: Path) -> None:
    """A worker that owned all 36 partitions gave up some that no one counted, and copies looked unexplained."""
    file = tmp_path / "worker.log"
    file.write_bytes(line_of(("a", 0), ("a", 1), ("b", 0), most=1))

    with pytest.raises(ValueError, match="names 2 of its partitions"):
        list(WorkersLog(file).given_up())
