"""What is read for a partner is paid for before more is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.access.scan_rate import BURST_SECONDS, LONGEST_DEBT, ScanRate


def test_nothing_waits_that_reads_less_than_its_rate() -> None:
    rate = ScanRate()
    for second in range(10):
        assert rate.note(100, 100.0, float(second)) == 0.0
    assert rate.wait(10.0) == 0.0


def test_what_one_request_reads_too_much_makes_the_next_one_wait_a_minute_at_most() -> None:
    rate = ScanRate()
    assert rate.note(1_000, 100.0, 0.0) == pytest.approx(9.0)
    assert rate.wait(4.0) == pytest.approx(5.0)
    assert rate.note(10**9, 100.0, 4.0) == pytest.approx(LONGEST_DEBT)
    assert not rate.is_idle(4.0)
    assert rate.is_idle(4.0 + LONGEST_DEBT + BURST_SECONDS)


@given(
    st.lists(st.tuples(st.integers(0, 500), st.floats(0, 5)), max_size=30),
    st.floats(1, 1_000),
)
def test_whoever_waits_reads_no_more_than_the_rate_and_one_request(
    requests: list[tuple[int, float]], per_second: float
) -> None:
    rate, now, read = ScanRate(), 0.0, 0
    for records, pause in requests:
        now += pause + rate.wait(now)
        # Before this request: all but what one second may have.
        assert read <= per_second * (now + BURST_SECONDS) + 1e-6
        if records / per_second < LONGEST_DEBT:
            read += records
            rate.note(records, per_second, now)
