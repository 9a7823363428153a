"""The native accelerator and Python say the same of every record, whatever its schema and its bytes.

`python -m tests.native_parity 1000000` compares as many records as one asks for.
"""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.native_parity import Tally, compare

from hookstream.adapters.avro.accelerator import implementation

NATIVE = implementation()

if NATIVE.module is not None:

    @settings(max_examples=40)
    @given(seed=st.integers(0, 2**32))
    def test_both_give_the_same_events_bodies_and_reasons(seed: int) -> None:
        compare(seed, NATIVE, Tally())

    def test_the_accelerator_reads_most_of_the_drawn_events_that_can_be_rendered() -> None:
        """Or nothing would be compared."""
        tally = Tally()
        for seed in range(20):
            compare(seed, NATIVE, tally)
        assert tally.native > tally.rendered / 2
        assert tally.pinned > tally.native / 4
        assert tally.mapped > 20
