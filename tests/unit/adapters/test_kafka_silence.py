"""A partition that has records and gives none is told once, and is not mistaken for one that may rest."""

from tests.doubles.clock import HandClock
from tests.doubles.journal import BookkeepingJournal

from hookstream.adapters.kafka_silence import Silence
from hookstream.core.model.record import TopicPartition

HERE = TopicPartition("t", 0)
THERE = TopicPartition("t", 1)


class Watched:
    """A silence that is looked at every ten seconds."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.journal = BookkeepingJournal()
        self.silence = Silence(self.journal, self.clock)

    def look(self, *places: dict[TopicPartition, tuple[int, int]]) -> list[list[TopicPartition]]:
        found = []
        for each in places:
            found.append(self.silence.look(each))
            self.clock.forward(10_000)
        return found

    @property
    def said(self) -> list[str]:
        return [event for _, event, _ in self.journal.lines]


def test_a_partition_that_has_records_and_gives_none_is_told_once() -> None:
    watched = Watched()

    found = watched.look(*[{HERE: (4, 9)}] * 7)

    assert found == [[], [], [], [], [HERE], [], []]
    fields = {"topic": "t", "partition": 0, "next": 4, "end": 9}
    assert watched.journal.lines == [("warning", "partition_unread", fields)]
    assert watched.silence.told == {HERE}


def test_a_partition_that_gives_records_however_slowly_is_not_silent() -> None:
    watched = Watched()
    watched.look(*[{HERE: (n, 99), THERE: (n // 3, 99)} for n in range(12)])
    assert watched.said == []


def test_a_partition_that_could_give_nothing_for_a_while_counts_anew() -> None:
    """It was paused, nobody asked, or more was ready than was taken."""
    watched = Watched()
    watched.look(*[{HERE: (4, 9)}] * 4, {}, *[{HERE: (4, 9)}] * 4)
    assert watched.said == []


def test_a_silence_that_ends_is_told_and_the_next_one_is_told_again() -> None:
    watched = Watched()

    watched.look(*[{HERE: (4, 9)}] * 5, {}, *[{HERE: (9, 12)}] * 5)

    assert watched.said == ["partition_unread", "partition_unread_over", "partition_unread"]
