"""Commit metadata lists what was settled, never more, whatever its size and however damaged."""

from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.offsets.commit_metadata import (
    METADATA_BYTES,
    decode_metadata,
    encode_metadata,
)

BASES = st.integers(0, 2**62)
LENGTHS = st.lists(
    st.tuples(
        st.integers(1, 5) | st.integers(1, 100_000), st.integers(1, 5) | st.integers(1, 9_999)
    ),
    max_size=300,
)


def spans_of(base: int, lengths: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Lay lengths of unsettled and settled offsets out from the base."""
    spans = []
    for unsettled, settled in lengths:
        start = base + unsettled
        base = start + settled
        spans.append((start, base))
    return spans


@given(BASES, LENGTHS)
def test_metadata_that_fits_lists_every_settled_offset(
    base: int, lengths: list[tuple[int, int]]
) -> None:
    spans = spans_of(base, lengths)

    metadata = encode_metadata(base, spans, METADATA_BYTES)

    assert len(metadata.text) <= METADATA_BYTES
    assert metadata.whole
    assert decode_metadata(metadata.text, base) == tuple(spans)


@given(BASES, LENGTHS, st.integers(0, 200))
def test_metadata_that_does_not_fit_claims_only_what_was_settled(
    base: int, lengths: list[tuple[int, int]], room: int
) -> None:
    """What it omits is delivered again; what it lists wrongly would be lost."""
    spans = spans_of(base, lengths)

    metadata = encode_metadata(base, spans, room)

    listed = decode_metadata(metadata.text, base)
    assert len(metadata.text) <= room
    assert metadata.whole == (listed == tuple(spans))
    for start, end in listed:
        assert any(first <= start and end <= last for first, last in spans)


@given(BASES, LENGTHS, st.integers(1, 1000))
def test_metadata_of_another_offset_claims_nothing(
    base: int, lengths: list[tuple[int, int]], off: int
) -> None:
    metadata = encode_metadata(base, spans_of(base, lengths), METADATA_BYTES)

    assert decode_metadata(metadata.text, base + off) == ()


@given(st.text(max_size=60), st.sampled_from("rbx"), st.binary(max_size=60))
def test_garbage_reads_as_nothing_or_as_something_well_formed(
    garbage: str, kind: str, payload: bytes
) -> None:
    """Another tool may commit for the group, with metadata of its own."""
    text = f"hs1:7:{kind}:{payload.hex()}"

    assert decode_metadata(garbage, 7) == ()
    after = 7
    for start, end in decode_metadata(text, 7):
        assert after < start < end
        after = end


def test_metadata_of_another_release_claims_nothing() -> None:
    metadata = encode_metadata(7, [(8, 20)], METADATA_BYTES).text

    assert decode_metadata(metadata, 7) == ((8, 20),)
    assert decode_metadata(metadata.replace("hs1", "hs2"), 7) == ()


def test_one_stuck_record_with_many_settled_after_it_needs_little_metadata() -> None:
    assert len(encode_metadata(1_000_000, [(1_000_001, 1_500_000)], METADATA_BYTES).text) < 30


def test_records_settled_out_of_order_take_one_bit_each() -> None:
    spans = [(base, base + 1) for base in range(1, 16_000, 2)]

    metadata = encode_metadata(0, spans, METADATA_BYTES)

    assert metadata.whole
    assert len(metadata.text) < 2_700
