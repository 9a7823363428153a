"""A cursor says where a reader stands, and nothing that was not written is read as one."""

from hypothesis import given
from hypothesis import strategies as st
from tests.doubles.pulling import sealed_cursors

from hookstream.core.model.record import TopicPartition
from hookstream.core.pull.cursor import (
    MOST_BYTES,
    Cursor,
    TooManyPartitions,
    encoded,
    read_cursor,
)
from hookstream.core.pull.page import GapReason
from hookstream.core.pull.resumption import (
    KnownTopic,
    LogFound,
    Reading,
    begins_behind,
    first_offset,
    found_again,
    resumed_at,
)

ids = st.binary(min_size=16, max_size=16).map(bytes.hex)
offsets = st.integers(0, 2**62)
cursors = st.builds(
    Cursor,
    st.integers(0, 2**50),
    st.dictionaries(
        ids, st.dictionaries(st.integers(0, 10_000), offsets, min_size=1, max_size=12), max_size=8
    ),
)


@given(cursors)
def test_a_cursor_is_read_as_it_was_written(cursor: Cursor) -> None:
    made = encoded(cursor)
    assert isinstance(made, bytes)
    assert len(made) <= MOST_BYTES
    assert len(made) % 64 == 0
    assert read_cursor(made) == cursor


@given(st.binary(max_size=600))
def test_any_bytes_are_a_cursor_or_none_and_never_an_error(payload: bytes) -> None:
    found = read_cursor(b"\x01" + payload)
    if found is not None:
        # What is read can be written again, with the same meaning.
        again = encoded(found)
        assert isinstance(again, TooManyPartitions) or read_cursor(again) == Cursor(
            found.active_from, {name: each for name, each in found.topics.items() if each}
        )


@given(cursors, st.data())
def test_a_sealed_cursor_that_was_changed_or_lent_does_not_open(
    cursor: Cursor, data: st.DataObject
) -> None:
    made = encoded(cursor)
    assert isinstance(made, bytes)
    seal = sealed_cursors()
    text = seal.seal("orders", made)
    assert seal.open("orders", text) == made
    assert len(text) < 6_000
    assert isinstance(seal.open("order", text), str)
    at = data.draw(st.integers(0, len(text) - 2))
    other = data.draw(st.sampled_from("ABCxyz019-_").filter(lambda each: each != text[at]))
    assert isinstance(seal.open("orders", text[:at] + other + text[at + 1 :]), str)
    assert isinstance(seal.open("orders", text[:at]), str)


def test_six_hundred_partitions_fit_and_a_cursor_beyond_its_bound_is_refused_with_the_figure() -> (
    None
):
    full = Cursor(2**41, {"ab" * 16: dict.fromkeys(range(600), 2**40)})
    assert isinstance(encoded(full), bytes)
    over = Cursor(2**41, {"ab" * 16: dict.fromkeys(range(1_200), 2**40)})
    assert encoded(over) == TooManyPartitions(1_200)


def test_topics_are_known_by_their_ids_and_not_by_their_names() -> None:
    topics = {"a": KnownTopic("11" * 16, 2), "b": KnownTopic("33" * 16, 1)}
    cursor = Cursor(0, {"11" * 16: {0: 7}, "22" * 16: {0: 9}})
    found = resumed_at(cursor, topics)
    assert found.positions == {TopicPartition("a", 0): 7}
    assert found.unread == [TopicPartition("a", 1), TopicPartition("b", 0)]
    assert found.gone == ["22" * 16]


def test_a_partition_that_is_not_listed_keeps_its_place_in_the_cursor() -> None:
    """Dropped, it would have been a new one for whoever lists it: its records would have come again."""
    here = "11" * 16
    cursor = Cursor(5, {here: {0: 7, 1: 9}})
    found = resumed_at(cursor, {"a": KnownTopic(here, 1)})
    assert found.unlisted == {TopicPartition("a", 1): 9}
    reading = Reading(dict(found.positions), {"a": here}, found.unlisted)
    assert reading.cursor(5) == cursor
    reading.leave(["a"])
    assert reading.cursor(5) == Cursor(5)


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_a_position_that_cannot_be_read_never_skips_silently(
    position: int, low: int, more: int, first: int
) -> None:
    high = low + more
    here, there = "11" * 16, "22" * 16
    found = found_again(position, here, here, low, high)
    match found:
        case LogFound(offset, None):
            assert offset == position
        case LogFound(offset, GapReason.RETENTION):
            assert (offset, position < low) == (low, True)
        case LogFound(offset, _):
            assert (offset, position > high) == (high, True)
    assert found_again(position, here, there, low, high) == (None, GapReason.TOPIC_GONE)
    assert found_again(position, here, None, low, high) == (None, GapReason.TOPIC_GONE)
    begun = first_offset(low, first, high)
    assert low <= begun <= high
    assert begun <= max(low, first)
    # What may be missing before the beginning is said, unless the whole log is there.
    assert begins_behind(low, min(first, high)) == (low > 0 and min(first, high) <= low)
