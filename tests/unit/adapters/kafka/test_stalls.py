"""A partition that has records and returns none is reported once, and one that may be idle is not."""

from tests.doubles.clock import HandClock
from tests.doubles.logger import BookkeepingLogger

from hookstream.adapters.kafka.stalls import StallDetector
from hookstream.core.model.record import TopicPartition

HERE = TopicPartition("t", 0)
THERE = TopicPartition("t", 1)


class Watched:
    """A stall detector that checks every ten seconds."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.logger = BookkeepingLogger()
        self.stalls = StallDetector(self.logger, self.clock)

    def look(
        self,
        *places: dict[TopicPartition, tuple[int, int]],
        held_up: dict[TopicPartition, int] | None = None,
    ) -> list[list[TopicPartition]]:
        """Check each in turn, while others that are not read to their ends can return nothing."""
        found = []
        for each in places:
            behind = {at: next_offset for at, (next_offset, _) in each.items()} | (held_up or {})
            found.append(self.stalls.look(each, behind))
            self.clock.forward(10_000)
        return found

    @property
    def said(self) -> list[str]:
        return [event for _, event, _ in self.logger.lines]


def test_a_partition_with_records_that_returns_none_is_reported_once() -> None:
    watched = Watched()

    found = watched.look(*[{HERE: (4, 9)}] * 7)

    assert found == [[], [], [], [], [HERE], [], []]
    fields = {"topic": "t", "partition": 0, "next": 4, "end": 9}
    assert watched.logger.lines == [("warning", "partition.unread", fields)]
    assert watched.stalls.stalled == {HERE: 4}


def test_a_partition_that_returns_records_however_slowly_is_not_stalled() -> None:
    watched = Watched()
    watched.look(*[{HERE: (n, 99), THERE: (n // 3, 99)} for n in range(12)])
    assert watched.said == []


def test_a_partition_that_could_return_nothing_for_a_while_is_timed_from_zero() -> None:
    """It was paused, nothing was requested, or more was ready than was taken."""
    watched = Watched()
    watched.look(*[{HERE: (4, 9)}] * 4, {}, *[{HERE: (4, 9)}] * 4)
    assert watched.said == []


def test_the_end_of_a_stall_is_reported_and_the_next_stall_is_reported_again() -> None:
    watched = Watched()

    watched.look(*[{HERE: (4, 9)}] * 5, {}, *[{HERE: (9, 12)}] * 5)

    assert watched.said == ["partition.unread", "partition.unread_over", "partition.unread"]


def test_a_stall_continues_while_its_partition_is_delayed_for_another_reason() -> None:
    """It was paused, nothing was requested, or another one had a backlog: it still returned nothing."""
    watched = Watched()

    watched.look(*[{HERE: (4, 9)}] * 5)
    watched.look({}, {}, held_up={HERE: 4})
    found = watched.look(*[{HERE: (4, 9)}] * 5)

    assert (watched.said, found) == (["partition.unread"], [[]] * 5)
    watched.look({}, held_up={HERE: 5})
    assert watched.said == ["partition.unread", "partition.unread_over"]


def test_a_stall_continues_when_its_partition_restarts_before_markers() -> None:
    """It was assigned again, and the client forgot the markers that it had skipped."""
    watched = Watched()
    watched.look(*[{HERE: (4, 9)}] * 5, *[{HERE: (3, 9)}] * 5)
    assert watched.said == ["partition.unread"]


def test_the_time_without_a_check_does_not_count() -> None:
    """The broker was down: no partition could return anything."""
    watched = Watched()
    watched.look(*[{HERE: (4, 9)}] * 4)

    watched.stalls.not_checked()
    watched.look(*[{HERE: (4, 9)}] * 4)

    assert watched.said == []
