"""A partition is paused as long as it has a reason."""

from hookstream.core.model.record import TopicPartition
from hookstream.core.offsets.pauses import PauseReason, Pauses

HERE = TopicPartition("t", 0)


def test_each_record_that_blocks_a_partition_counts_the_reason_once() -> None:
    pauses = Pauses()
    pauses.add(HERE, PauseReason.BLOCKED)
    pauses.add(HERE, PauseReason.BLOCKED)

    last = [pauses.remove(HERE, PauseReason.BLOCKED) for _ in range(3)]

    assert last == [False, True, False]
    assert HERE not in pauses


def test_any_other_reason_counts_once_however_often_it_is_given() -> None:
    pauses = Pauses()
    pauses.add(HERE, PauseReason.FULL)
    pauses.add(HERE, PauseReason.FULL)

    assert pauses.remove(HERE, PauseReason.FULL)


def test_a_reason_that_is_taken_back_leaves_the_others() -> None:
    pauses = Pauses()
    pauses.add(HERE, PauseReason.FULL)
    pauses.add(HERE, PauseReason.CROWDED)

    assert not pauses.remove(HERE, PauseReason.BLOCKED)
    assert not pauses.remove(HERE, PauseReason.FULL)
    assert (pauses.has(HERE, PauseReason.CROWDED), HERE in pauses) == (True, True)
    assert (pauses.having(PauseReason.CROWDED), pauses.having(PauseReason.FULL)) == ([HERE], [])


def test_a_partition_that_is_forgotten_has_no_reason() -> None:
    pauses = Pauses()
    pauses.add(HERE, PauseReason.BLOCKED)

    pauses.forget([HERE])

    assert not pauses.has(HERE, PauseReason.BLOCKED)
    assert HERE not in pauses
