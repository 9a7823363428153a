"""Where reading starts: every case has a name, and no gap is silent."""

from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.model.instant import DAY, HOUR
from hookstream.core.model.record import TopicPartition
from hookstream.core.offsets.commit_metadata import CommitPosition, encode_metadata
from hookstream.core.offsets.start import (
    GapThenStart,
    OffsetsLost,
    StartAt,
    StartPolicy,
    start,
)

AT = TopicPartition("printprice.pricing.completed", 4)
NOW = 1_000 * DAY


def test_a_first_start_is_at_the_log_s_start_and_is_committed() -> None:
    assert start(AT, None, 7, 50, telltale=False) == StartAt(7, commit=True)


def test_a_commit_within_the_log_is_where_reading_starts() -> None:
    assert start(AT, CommitPosition(20), 7, 50, telltale=False) == StartAt(20, commit=False)


def test_a_commit_at_either_end_is_within_the_log() -> None:
    assert start(AT, CommitPosition(7), 7, 50, telltale=False) == StartAt(7, commit=False)
    assert start(AT, CommitPosition(50), 7, 50, telltale=False) == StartAt(50, commit=False)


def test_a_commit_below_the_log_s_start_is_a_gap_of_known_size() -> None:
    """`earliest` would resume at the log's start silently, `latest` would skip it all."""
    gap = GapThenStart(10, 50, CommitPosition(50))
    assert start(AT, CommitPosition(10), 50, 80, telltale=False) == gap


def test_what_was_settled_above_an_unsettled_offset_stays_settled_when_a_gap_covers_that_offset() -> (
    None
):
    """Otherwise everything that a slow record had delayed would be delivered a second time."""
    spans = [(12, 20), (45, 60), (70, 75)]
    committed = CommitPosition(10, encode_metadata(10, spans, 100).text)

    at_work = start(AT, committed, 50, 80, telltale=False)
    before_a_hole = start(AT, committed, 65, 80, telltale=False)
    behind_all = start(AT, committed, 76, 80, telltale=False)

    assert at_work == GapThenStart(
        10, 50, CommitPosition(60, encode_metadata(60, [(70, 75)], 100).text)
    )
    assert before_a_hole == GapThenStart(
        10, 65, CommitPosition(65, encode_metadata(65, [(70, 75)], 100).text)
    )
    assert behind_all == GapThenStart(10, 76, CommitPosition(76))


def test_a_log_that_was_cut_below_the_commit_is_read_from_the_cut_on_and_that_is_committed() -> (
    None
):
    """The new leader had appended beyond the commit: its first records were never delivered."""
    settled = CommitPosition(50, encode_metadata(50, [(52, 55)], 100).text)
    above = CommitPosition(20, encode_metadata(20, [(30, 48)], 100).text)
    below = CommitPosition(20, encode_metadata(20, [(30, 40)], 100).text)

    assert start(AT, settled, 7, 60, telltale=False, cut=45) == StartAt(45, commit=True)
    assert start(AT, above, 7, 60, telltale=False, cut=45) == StartAt(20, commit=True)
    assert start(AT, below, 7, 60, telltale=False, cut=45) == StartAt(
        20, commit=True, metadata=below.metadata
    )


def test_a_log_that_was_cut_below_its_start_is_read_from_there_on() -> None:
    at_cut = start(AT, CommitPosition(50), 47, 60, telltale=False, cut=45)
    assert at_cut == GapThenStart(45, 47, CommitPosition(47))
    assert start(AT, CommitPosition(50), 47, 60, telltale=False, cut=-1) == StartAt(
        47, commit=True
    )


def test_a_log_that_was_cut_and_ends_below_the_commit_stops() -> None:
    """It may be another one: of a topic that was created again, its first records are below the cut."""
    lost = start(AT, CommitPosition(50), 7, 49, telltale=False, cut=45)
    assert isinstance(lost, OffsetsLost)


def test_no_commit_where_there_should_be_one_stops_with_the_remedy() -> None:
    lost = start(AT, None, 0, 50, telltale=True)

    assert lost == OffsetsLost(
        "the group has no committed offset for printprice.pricing.completed/4, but the log has records"
        " that it must have settled: its offsets were lost. Set its position with: hookstream"
        " partition start printprice.pricing.completed/4 --at earliest|latest|TIME"
    )


def test_a_commit_beyond_the_log_s_end_stops_with_the_remedy() -> None:
    """The topic was created again: other records will have those offsets."""
    lost = start(AT, CommitPosition(51), 0, 50, telltale=False)

    assert isinstance(lost, OffsetsLost)
    assert "created again" in lost.remedy
    assert "--at earliest|latest|TIME" in lost.remedy


@given(
    committed=st.none() | st.integers(0, 1000),
    low=st.integers(0, 500),
    length=st.integers(0, 500),
    telltale=st.booleans(),
)
def test_reading_never_starts_outside_the_log_nor_skips_silently(
    committed: int | None,
    low: int,
    length: int,
    telltale: bool,  # noqa: FBT001
) -> None:
    position = None if committed is None else CommitPosition(committed)
    match start(AT, position, low, low + length, telltale=telltale):
        case StartAt(offset, commit):
            assert low <= offset <= low + length
            assert commit == (committed is None)
            assert offset == (low if committed is None else committed)
        case GapThenStart(first, next_offset, position):
            assert (first, next_offset, position) == (committed, low, CommitPosition(low))
            assert first < next_offset
        case OffsetsLost(remedy):
            assert "partition start" in remedy


def test_events_wanted_for_more_than_a_day_give_the_telltale_interval() -> None:
    policy = StartPolicy(wanted_from=lambda _: NOW - 3 * DAY, wait=lambda _: 0)

    assert policy.telltale(AT.topic, NOW) == (NOW - 3 * DAY, NOW - DAY)


def test_a_tier_s_record_is_due_only_after_its_delay() -> None:
    policy = StartPolicy(wanted_from=lambda _: 0, wait=lambda _: 6 * HOUR)

    assert policy.telltale("hookstream.retry.6h", NOW) == (0, NOW - DAY - 6 * HOUR)


def test_without_events_wanted_for_a_day_there_is_no_telltale_interval() -> None:
    fresh = StartPolicy(wanted_from=lambda _: NOW - HOUR, wait=lambda _: 0)
    nobody = StartPolicy(wanted_from=lambda _: None, wait=lambda _: 0)

    assert fresh.telltale(AT.topic, NOW) is None
    assert nobody.telltale(AT.topic, NOW) is None


def test_what_was_settled_above_the_commit_is_known_at_the_start() -> None:
    metadata = encode_metadata(20, [(21, 30)], 100).text

    assert start(AT, CommitPosition(20, metadata), 7, 50, telltale=False) == StartAt(
        20, commit=False, metadata=metadata
    )


def test_metadata_about_records_beyond_the_log_s_end_is_ignored() -> None:
    """The log lost its end, and other records will have those offsets."""
    metadata = encode_metadata(20, [(21, 51)], 100).text

    assert start(AT, CommitPosition(20, metadata), 7, 50, telltale=False) == StartAt(
        20, commit=False
    )


def test_metadata_of_another_offset_is_ignored() -> None:
    """An operator set the group back with Kafka's own tools, which may keep the metadata."""
    metadata = encode_metadata(20, [(21, 30)], 100).text

    assert start(AT, CommitPosition(19, metadata), 7, 50, telltale=False) == StartAt(
        19, commit=False
    )
