"""Records are returned from a partition's start offset on, each once, whatever the client's position does."""

from hookstream.adapters.kafka.sequence import SequenceCheck
from hookstream.core.model.record import TopicPartition

HERE = TopicPartition("printprice.orders", 0)
THERE = TopicPartition("printprice.orders", 1)


def starting_at(offset: int) -> SequenceCheck:
    sequence = SequenceCheck()
    sequence.expect({HERE: offset, THERE: 0})
    return sequence


def test_what_starts_at_its_start_offset_is_returned_with_gaps_in_the_middle() -> None:
    sequence = starting_at(10)
    assert [sequence.admits(HERE, offset) for offset in (10, 11, 15)] == [True, True, True]
    assert sequence.take_doubted() == {}


def test_a_record_that_is_read_a_second_time_is_not_returned_again() -> None:
    """A pause during a fetch makes the client return records again."""
    sequence = starting_at(10)
    assert [sequence.admits(HERE, offset) for offset in (10, 11, 10, 11, 12)] == [
        True,
        True,
        False,
        False,
        True,
    ]


def test_a_partition_read_from_behind_its_start_offset_is_read_again_from_that_offset() -> None:
    """As after a late answer about the log's end: all between would be skipped."""
    sequence = starting_at(10)
    assert not sequence.admits(HERE, 2_785)
    assert not sequence.admits(HERE, 2_786)
    assert sequence.admits(THERE, 0)
    assert sequence.take_doubted() == {HERE: 2_785}

    sequence.expect({HERE: 10})
    sequence.remember(HERE, 2_785)

    assert [sequence.admits(HERE, offset) for offset in (10, 11)] == [True, True]
    assert sequence.take_doubted() == {}


def test_the_same_first_record_twice_is_the_first_one() -> None:
    """A transaction marker has the start offset, or a compacted log starts later."""
    sequence = starting_at(10)
    sequence.admits(HERE, 12)
    sequence.take_doubted()
    sequence.expect({HERE: 10})
    sequence.remember(HERE, 12)

    assert [sequence.admits(HERE, offset) for offset in (12, 13)] == [True, True]


def test_nothing_is_expected_of_a_revoked_partition() -> None:
    sequence = starting_at(10)
    sequence.admits(HERE, 12)
    sequence.forget([HERE])
    assert sequence.take_doubted() == {}
    assert sequence.admits(HERE, 3)
