"""Commit metadata lists what was settled, never more, whatever its size and however damaged."""

from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.offsets.commit_metadata import NOTE_BYTES, read_note, write_note

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

    note = write_note(base, spans, NOTE_BYTES)

    assert len(note.text) <= NOTE_BYTES
    assert note.whole
    assert read_note(note.text, base) == tuple(spans)


@given(BASES, LENGTHS, st.integers(0, 200))
def test_metadata_that_does_not_fit_claims_only_what_was_settled(
    base: int, lengths: list[tuple[int, int]], room: int
) -> None:
    """What it omits is delivered again; what it lists wrongly would be lost."""
    spans = spans_of(base, lengths)

    note = write_note(base, spans, room)

    listed = read_note(note.text, base)
    assert len(note.text) <= room
    assert note.whole == (listed == tuple(spans))
    for start, end in listed:
        assert any(first <= start and end <= last for first, last in spans)


@given(BASES, LENGTHS, st.integers(1, 1000))
def test_metadata_of_another_offset_claims_nothing(
    base: int, lengths: list[tuple[int, int]], off: int
) -> None:
    note = write_note(base, spans_of(base, lengths), NOTE_BYTES)

    assert read_note(note.text, base + off) == ()


@given(st.text(max_size=60), st.sampled_from("rbx"), st.binary(max_size=60))
def test_garbage_reads_as_nothing_or_as_something_well_formed(
    garbage: str, kind: str, payload: bytes
) -> None:
    """Another tool may commit for the group, with metadata of its own."""
    text = f"hs1:7:{kind}:{payload.hex()}"

    assert read_note(garbage, 7) == ()
    after = 7
    for start, end in read_note(text, 7):
        assert after < start < end
        after = end


def test_metadata_of_another_release_claims_nothing() -> None:
    note = write_note(7, [(8, 20)], NOTE_BYTES).text

    assert read_note(note, 7) == ((8, 20),)
    assert read_note(note.replace("hs1", "hs2"), 7) == ()


def test_one_stuck_record_with_many_settled_after_it_needs_little_metadata() -> None:
    assert len(write_note(1_000_000, [(1_000_001, 1_500_000)], NOTE_BYTES).text) < 30


def test_records_settled_out_of_order_take_one_bit_each() -> None:
    spans = [(base, base + 1) for base in range(1, 16_000, 2)]

    note = write_note(0, spans, NOTE_BYTES)

    assert note.whole
    assert len(note.text) < 2_700
