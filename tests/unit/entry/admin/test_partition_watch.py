"""The brokers are asked about partitions at most every ten seconds, and nobody but the first waits for them."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from tests.doubles.clock import NOON

from hookstream.core.model.instant import Millis
from hookstream.core.model.record import TopicPartition
from hookstream.entry.admin.partition_watch import FRESH, STALE, PartitionWatch
from hookstream.entry.admin.status import OpenPartition
from hookstream.errors import DependencyUnavailable


@dataclass
class Brokers:
    """Brokers that are asked for partitions, and a watch of them."""

    now: Millis = NOON
    asked: int = 0
    problem: str = ""
    beside: list[Callable[[], None]] = field(default_factory=list)
    """What was to be done beside callers, and is not done yet."""

    def look(self) -> list[OpenPartition]:
        self.asked += 1
        if self.problem:
            raise DependencyUnavailable(self.problem)
        return [OpenPartition(TopicPartition("orders", self.asked), "it is assigned to no worker")]

    def watch(self) -> PartitionWatch:
        return PartitionWatch(self.look, lambda: self.now, self.beside.append)


def numbers(watch: PartitionWatch) -> list[int]:
    return [each.at.partition for each in watch.latest().partitions]


def test_within_ten_seconds_the_brokers_are_asked_once() -> None:
    brokers = Brokers()
    watch = brokers.watch()
    assert numbers(watch) == [1]
    brokers.now += FRESH
    assert (numbers(watch), brokers.asked, brokers.beside) == ([1], 1, [])
    assert watch.latest().at == NOON


def test_what_is_older_is_shown_while_the_brokers_are_asked_once_beside_it() -> None:
    brokers = Brokers()
    watch = brokers.watch()
    watch.latest()
    brokers.now += FRESH + 1
    assert [numbers(watch) for _ in range(3)] == [[1], [1], [1]]
    [look] = brokers.beside
    look()
    assert (numbers(watch), brokers.asked) == ([2], 2)


@pytest.mark.parametrize("later", [STALE + 1, -STALE - 1])
def test_what_is_older_than_a_minute_or_of_another_clock_is_shown_to_nobody(later: Millis) -> None:
    brokers = Brokers()
    watch = brokers.watch()
    watch.latest()
    brokers.now += later
    assert numbers(watch) == [2]


def test_brokers_that_do_not_answer_are_a_problem_that_is_said_and_asked_again() -> None:
    brokers = Brokers(problem="no broker answers")
    watch = brokers.watch()
    assert (watch.latest().partitions, watch.latest().problem) == ((), "no broker answers")
    brokers.problem = ""
    brokers.now += FRESH + 1
    watch.latest()
    brokers.beside.pop()()
    assert (numbers(watch), watch.latest().problem) == ([2], "")


def test_a_look_that_cannot_be_begun_beside_its_caller_is_tried_again() -> None:
    brokers = Brokers()

    def none_left(_: Callable[[], None]) -> None:
        raise RuntimeError("can't start new thread")

    watch = PartitionWatch(brokers.look, lambda: brokers.now, none_left)
    watch.latest()
    brokers.now += FRESH + 1
    for _ in range(2):
        with pytest.raises(RuntimeError):
            watch.latest()
