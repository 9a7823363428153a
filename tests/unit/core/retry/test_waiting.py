import pytest

from hookstream.core.model.record import TopicPartition
from hookstream.core.retry.waiting import WaitingRoom
from hookstream.errors import ConfigurationError, InvariantBroken

FAST = TopicPartition("hookstream.retry.5s", 0)
SLOW = TopicPartition("hookstream.retry.24h", 0)
IDLE = TopicPartition("hookstream.retry.1h", 0)


def a_room(budget: int = 1000, floor: int = 100) -> WaitingRoom[str]:
    return WaitingRoom(budget, floor)


def test_what_is_due_comes_out_in_due_order_and_nothing_else() -> None:
    room = a_room()
    for offset, due in enumerate([30, 10, 20, 10]):
        room.admit(FAST, offset, due, 1, f"{due}@{offset}")

    found = room.due(20)

    assert found == ["10@1", "10@3", "20@2"]
    assert (len(room), room.next_due(), room.waiting_bytes) == (1, 30, 1)


def test_nothing_is_due_early() -> None:
    room = a_room()
    room.admit(FAST, 0, 10, 1, "a")

    assert (room.due(9), room.due(10)) == ([], ["a"])


def test_no_more_is_taken_out_than_was_requested() -> None:
    room = a_room()
    for offset in range(3):
        room.admit(FAST, offset, offset, 1, str(offset))

    assert (room.due(10, most=2), room.due(10, most=2)) == (["0", "1"], ["2"])


def test_an_empty_room_has_no_next_due_time() -> None:
    room = a_room()

    assert (room.next_due(), room.due(10**15), len(room)) == (None, [], 0)


def test_a_full_partition_is_paused_once_and_resumed_at_half() -> None:
    room = a_room(budget=100, floor=10)
    for offset in range(10):
        room.admit(SLOW, offset, offset, 10, "x")
    asked = [room.to_pause(), room.to_pause(), room.to_resume()]

    room.due(3)
    above_half = room.to_resume()
    room.due(4)
    at_half = [room.to_resume(), room.to_resume()]

    assert asked == [[SLOW], [], []]
    assert (above_half, at_half) == ([], [[SLOW], []])


def test_a_backlog_of_a_day_leaves_every_other_tier_its_floor() -> None:
    """The 5s tier must continue while a 24h tier could fill any room."""
    room = a_room(budget=100, floor=30)
    for offset in range(12):
        room.admit(SLOW, offset, 10**9, 10, "slow")
    paused = [room.to_pause()]

    room.admit(FAST, 0, 10, 20, "fast")
    paused.append(room.to_pause())
    room.admit(FAST, 1, 11, 10, "fast")
    paused.append(room.to_pause())
    room.due(11)

    assert paused == [[SLOW], [], [FAST]]
    assert room.to_resume() == [FAST]


def test_partitions_with_records_share_the_budget_evenly() -> None:
    room = a_room(budget=100, floor=10)
    room.admit(FAST, 0, 1, 10, "x")
    room.admit(SLOW, 0, 1, 50, "x")

    assert room.to_pause() == [SLOW]


def test_a_partition_is_not_resumed_while_the_room_is_nearly_full() -> None:
    """At the edge it would be paused and resumed in turns, each pause a refetch."""
    room = a_room(budget=100, floor=10)
    room.admit(IDLE, 0, 1000, 60, "x")
    room.admit(SLOW, 0, 1000, 20, "x")
    room.admit(FAST, 0, 1, 20, "x")
    room.admit(FAST, 1, 2, 10, "x")
    full = room.to_pause()

    room.due(1)

    assert (sorted(full), room.to_resume()) == (sorted([IDLE, SLOW, FAST]), [])


def test_two_copies_of_one_attempt_merge_and_the_later_one_is_returned() -> None:
    room = a_room()

    found = [
        room.admit(FAST, 0, 10, 5, "first", ("msg_1", 2)),
        room.admit(SLOW, 7, 5, 5, "copy", ("msg_1", 2)),
        room.admit(SLOW, 8, 5, 5, "next attempt", ("msg_1", 3)),
        room.admit(SLOW, 9, 5, 5, "no key"),
        room.admit(SLOW, 10, 5, 5, "no key either"),
    ]

    assert found == [None, "copy", None, None, None]
    assert room.due(10) == ["next attempt", "no key", "no key either", "first"]


def test_of_two_copies_the_one_that_expires_later_stays_whichever_came_first() -> None:
    room = a_room()

    found = [
        room.admit(FAST, 0, 10, 5, "expires at 7", "key", rank=7),
        room.admit(SLOW, 7, 12, 5, "expires at 9", "key", rank=9),
        room.admit(SLOW, 8, 5, 5, "expires at 8", "key", rank=8),
    ]

    assert found == [None, "expires at 7", "expires at 8"]
    assert (len(room), room.waiting_bytes, room.has(SLOW, 7)) == (1, 5, True)
    assert room.due(12) == ["expires at 9"]


def test_a_copy_that_comes_after_the_first_went_out_is_no_copy_of_what_waits() -> None:
    room = a_room()
    room.admit(FAST, 0, 10, 5, "first", "key")
    room.due(10)

    assert room.admit(FAST, 1, 20, 5, "second", "key") is None


def test_a_dropped_partition_leaves_nothing_behind() -> None:
    """Another worker has it now; its records are read there again."""
    room = a_room(budget=100, floor=10)
    room.admit(FAST, 0, 10, 60, "mine", "key")
    room.admit(SLOW, 0, 20, 60, "kept")
    room.to_pause()

    room.drop(FAST)

    assert (len(room), room.waiting_bytes, room.next_due()) == (1, 60, 20)
    assert (room.has(FAST, 0), room.has(SLOW, 0)) == (False, True)
    assert room.admit(FAST, 0, 30, 60, "mine again", "key") is None
    assert room.due(30) == ["kept", "mine again"]


def test_a_partition_with_nothing_waiting_may_be_dropped() -> None:
    room = a_room()

    room.drop(IDLE)

    assert len(room) == 0


def test_dropping_many_times_does_not_grow_the_room() -> None:
    """A group that rebalances for hours reads the same backlog again and again."""
    room = a_room()
    for _ in range(20):
        for offset in range(500):
            room.admit(SLOW, offset, 10**9, 1, "x", offset)
        room.drop(SLOW)

    assert len(room) == 0
    assert len(room._queue.heap) < 2000  # noqa: SLF001 - memory is the point, and shows nowhere else


def test_one_offset_cannot_wait_twice() -> None:
    """Settling the second would lose the first in a crash."""
    room = a_room()
    room.admit(FAST, 3, 10, 1, "x")

    with pytest.raises(InvariantBroken, match=r"hookstream\.retry\.5s-0@3"):
        room.admit(FAST, 3, 10, 1, "x")


@pytest.mark.parametrize(("budget", "floor"), [(0, 1), (1, 0), (-1, 1)])
def test_a_room_without_room_is_refused(budget: int, floor: int) -> None:
    with pytest.raises(ConfigurationError, match="must be positive"):
        a_room(budget, floor)
