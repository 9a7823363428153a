"""A rate allows a burst of ten seconds, and then its even spacing; what is refused takes nothing."""

from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.access.request_rate import BURST_SECONDS, RequestRate


def test_a_burst_is_followed_by_even_spacing() -> None:
    rate = RequestRate()
    states = [rate.take(0.5, 0.0) for _ in range(7)]
    assert [state.remaining for state in states] == [4, 3, 2, 1, 0, 0, 0]
    assert [state.retry_after for state in states] == [None] * 5 + [2, 2]
    assert rate.take(0.5, 2.0).retry_after is None
    assert rate.take(0.5, 2.0).retry_after == 2
    assert not rate.is_idle(2.0)
    assert rate.is_idle(100.0)


@given(
    st.floats(0.01, 10_000),
    st.lists(st.floats(0, 5), max_size=200),
)
def test_no_window_has_more_than_its_limit(per_second: float, pauses: list[float]) -> None:
    rate, now, allowed = RequestRate(), 0.0, []
    for pause in pauses:
        now += pause
        state = rate.take(per_second, now)
        if state.retry_after is None:
            allowed.append(now)
        else:
            assert state.remaining == 0
    limit = max(1, round(per_second * BURST_SECONDS))
    for at in allowed:
        within = sum(at <= each < at + BURST_SECONDS for each in allowed)
        # A burst, and what its spacing allows meanwhile.
        assert within <= 2 * limit + 1
