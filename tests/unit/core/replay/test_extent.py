"""What a replay reads is fixed, and what is gone of it is named."""

import pytest

from hookstream.core.model.record import TopicPartition
from hookstream.core.model.row_fields import WrongType
from hookstream.core.replay.extent import (
    MOST_PARTITIONS,
    Extent,
    LogBounds,
    LostOffsets,
    OffsetSpan,
    curtailed,
    extent_of,
    lost_text,
    read_extent,
)

A, B = TopicPartition("a", 0), TopicPartition("a", 1)
ID, OTHER = "0" * 31 + "1", "0" * 31 + "2"


def extent(first: int = 10, end: int = 20) -> Extent:
    return Extent({"a": ID}, {A: OffsetSpan(first, end)})


def test_partitions_with_nothing_to_read_have_no_span() -> None:
    assert extent_of({"a": ID}, {A: 3, B: 9}, {A: 5, B: 9}) == extent(3, 5)
    assert extent_of({"a": ID}, {A: 9}, {A: 5}) == Extent()


def test_what_is_read_moves_on_and_never_back() -> None:
    assert extent().moved({A: 15, B: 3}) == extent(15)
    assert extent(15).moved({A: 12}) == extent(15)
    assert extent().moved({A: 25}) == Extent()


@pytest.mark.parametrize(
    ("log", "left", "lost"),
    [
        (LogBounds(ID, 0, 20), extent(), []),
        (LogBounds(ID, 15, 99), extent(15), [LostOffsets(A, 10, 15, "retention took them")]),
        (LogBounds(ID, 50, 99), Extent(), [LostOffsets(A, 10, 20, "retention took them")]),
        (LogBounds(ID, 0, 14), extent(10, 14), [LostOffsets(A, 14, 20, "the log was truncated")]),
        (LogBounds(ID, 0, 4), Extent(), [LostOffsets(A, 10, 20, "the log was truncated")]),
        (LogBounds(None, 0, 0), Extent(), [LostOffsets(A, 10, 20, "the topic was deleted")]),
        (
            LogBounds(OTHER, 0, 99),
            Extent(),
            [LostOffsets(A, 10, 20, "the topic was deleted and created again")],
        ),
    ],
)
def test_what_a_log_no_longer_has_is_lost(
    log: LogBounds, left: Extent, lost: list[LostOffsets]
) -> None:
    assert extent().checked({A: log, B: log}) == (left, lost)


def test_retention_may_have_taken_records_only_where_the_log_begins_in_the_interval() -> None:
    starts = {A: 10, B: 10, TopicPartition("a", 2): 0}
    lows = {A: 10, B: 9, TopicPartition("a", 2): 0}
    assert curtailed(starts, lows) == [A]


def test_what_is_lost_is_described_in_bounded_length() -> None:
    lost = [LostOffsets(TopicPartition("a", n), 1, 3, "retention took them") for n in range(9)]
    first = "a-0 offsets 1 to 2 (retention took them)"
    assert lost_text(lost[:1]) == f"lost: {first}"
    assert lost_text(lost).endswith(" and 6 more")


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({"a": {"id": "x", "offsets": {}}}, "32 hex digits"),
        ({"a": {"id": ID, "offsets": {"x": [1, 2]}}}, "a partition that is not a number"),
        ({"a": {"id": ID, "offsets": {"\u0661": [1, 2]}}}, "a partition that is not a number"),
        ({"a": {"id": ID, "offsets": {"0": [2, 2]}}}, "not above the first"),
        ({"a": {"id": ID, "offsets": {"0": [-1, 2]}}}, "out of range"),
        ({"a": {"id": ID, "offsets": {"0": [1]}}}, "not a first and an end"),
        ({"a": {"id": ID, "offsets": {"0": [True, 2]}}}, "not a whole number"),
        ({"a": 1}, "not an object"),
        (
            {"a": {"id": ID, "offsets": {str(n): [0, 1] for n in range(MOST_PARTITIONS + 1)}}},
            "more than 4,000 partitions",
        ),
    ],
)
def test_an_extent_that_is_none_is_refused(document: dict[str, object], why: str) -> None:
    with pytest.raises(WrongType, match=why):
        read_extent(document)  # type: ignore[arg-type]
