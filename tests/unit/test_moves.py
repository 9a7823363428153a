"""The storm detects each move of a partition: by its owner, and by the workers that gave it up."""

import json
from pathlib import Path

from chaos.topics import Positions
from chaos.watch import WorkersLog, moves_between

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


def test_reading_a_log_continues_from_the_middle_of_a_line(tmp_path: Path) -> None:
    fields = {"names": "events/0, a.b/12", "event": "partitions.revoked"}
    line = json.dumps(fields).encode() + b"\n"
    file = tmp_path / "worker.log"
    log = WorkersLog(file)
    assert list(log.given_up()) == []
    file.write_bytes(b'{"event":"attempt"}\n' + line + line[:20])
    assert list(log.given_up()) == [("events", 0), ("a.b", 12)]
    with file.open("ab") as more:
        more.write(line[20:])
    assert list(log.given_up()) == [("events", 0), ("a.b", 12)]
