"""What is stalled longest is reported, and what moves or is not seen starts again."""

from hookstream.core.model.record import TopicPartition
from hookstream.core.offsets.stalls import Stalled, Stalls

ONE, TWO = TopicPartition("events", 0), TopicPartition("events", 1)


def test_what_has_been_stalled_longest_is_reported() -> None:
    standstill = Stalls()
    standstill.look({ONE: 5}, 100.0)
    standstill.look({ONE: 5, TWO: 7}, 110.0)

    assert standstill.look({ONE: 5, TWO: 7}, 130.0) == Stalled(ONE, 5, 30.0)
    assert standstill.look({ONE: 6, TWO: 7}, 140.0) == Stalled(TWO, 7, 30.0)


def test_what_was_not_seen_meanwhile_starts_afresh() -> None:
    """It waited on purpose."""
    standstill = Stalls()
    standstill.look({ONE: 5}, 100.0)

    assert standstill.look({}, 200.0) is None
    assert standstill.look({ONE: 5}, 300.0) == Stalled(ONE, 5, 0.0)
