"""A reading that is limited reads the newest records of each partition, and knows from when on it has all."""

from hypothesis import given
from hypothesis import strategies as st

from hookstream.adapters.kafka.scan import ReadLimit, ScanBounds
from hookstream.core.model.record import Record, TopicPartition


@given(
    st.lists(st.tuples(st.integers(0, 1_000), st.integers(0, 1_000)), max_size=6),
    st.integers(1, 2_000),
)
def test_what_is_read_is_within_the_limit_and_nothing_newer_is_left_out(
    sizes: list[tuple[int, int]], most: int
) -> None:
    spans = {
        TopicPartition("t", number): ScanBounds(start, start + size)
        for number, (start, size) in enumerate(sizes)
    }
    limit = ReadLimit(most)
    read = limit.newest(spans)
    total = sum(size for _, size in sizes)
    offsets = sum(span.end - span.start for span in read.values())
    assert offsets <= most
    assert offsets + limit.left_out == total
    assert (limit.left_out == 0) == (total <= most)
    assert all(span.end == spans[at].end for at, span in read.items())


def test_a_reading_is_complete_from_the_latest_beginning_of_a_partition_that_was_cut() -> None:
    limit = ReadLimit(10)
    limit.newest({TopicPartition("t", n): ScanBounds(0, 10) for n in range(2)})
    for partition, timestamp in ((0, 500), (0, 900), (1, 700), (1, 800)):
        limit.note(Record("t", partition, 5, timestamp, None, b"", ()))
    assert (limit.left_out, limit.complete_from) == (10, 700)


def test_it_is_not_known_from_when_on_it_is_complete_if_nothing_of_a_partition_was_read() -> None:
    limit = ReadLimit(10)
    spans = {TopicPartition("t", 0): ScanBounds(0, 1), TopicPartition("t", 1): ScanBounds(0, 99)}
    assert list(limit.newest(spans)) == [TopicPartition("t", 1)]
    limit.note(Record("t", 1, 89, 500, None, b"", ()))
    assert (limit.left_out, limit.complete_from) == (91, None)
