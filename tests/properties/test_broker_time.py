"""The brokers' time is known within the reported error bound, however slow and odd the answers are."""

from math import floor

from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.model.broker_time import DRIFT, KEPT_FOR, MOST_WIDE, BrokerTime

YEAR = 365 * 86_400.0
answers = st.lists(
    st.tuples(
        st.floats(0.0, 30.0),  # until the question
        st.floats(0.0, 8.0),  # until the broker stamps
        st.floats(0.0, 8.0),  # until the answer is seen
    ),
    min_size=1,
    max_size=30,
)


@given(answers, st.floats(-YEAR, YEAR), st.floats(-DRIFT / 2, DRIFT / 2))
def test_the_true_difference_lies_within_the_doubt(
    answers: list[tuple[float, float, float]], ahead: float, drift: float
) -> None:
    time, now = BrokerTime(), 5_000.0
    for wait, out, back in answers:
        asked = now + wait
        stamped = asked + out
        now = stamped + back
        stamp = floor((stamped + ahead + stamped * drift) * 1000)
        time.learn("t/0", stamp, asked, now)
        truth = ahead + now * drift
        if time.doubt <= MOST_WIDE:
            assert time.ahead is not None
            # A double of a year in seconds has half a microsecond; the stamp is cut to milliseconds.
            assert abs(time.ahead - truth) <= time.doubt + (out + back) * DRIFT + 0.002
            assert time.ahead_at_least is not None
            assert time.ahead_at_least - truth <= (out + back) * DRIFT + 0.0001
            assert truth - time.ahead_at_least <= 2 * time.doubt + (out + back) * DRIFT + 0.002


@given(st.floats(-YEAR, YEAR), st.integers(3, 9), st.floats(60.0, YEAR), st.data())
def test_one_broker_of_several_that_is_wrong_decides_nothing(
    ahead: float, brokers: int, wrong: float, data: st.DataObject
) -> None:
    time = BrokerTime()
    liar = data.draw(st.integers(0, brokers - 1))
    for number in range(brokers):
        stamped = 1_000.0 + number
        off = wrong if number == liar else 0.0
        time.learn(f"t/{number}", int((stamped + ahead + off) * 1000), stamped, stamped + 0.01)
    assert time.ahead is not None
    assert abs(time.ahead - ahead) < 0.1
    assert time.apart > 59


def test_a_broker_clock_that_is_adjusted_is_followed_at_once() -> None:
    time = BrokerTime()
    time.learn("t/0", 1_000_000, 10.0, 10.01)
    time.learn("t/0", 4_601_000, 11.0, 11.01)
    assert time.ahead is not None
    assert abs(time.ahead - 4_590.0) < 0.1


def test_a_brokers_time_that_took_too_long_is_ignored() -> None:
    time = BrokerTime()
    time.learn("t/0", 1_000_000, 10.0, 40.0)
    assert time.ahead is None
    time.learn("t/0", 1_030_010, 40.0, 40.02)
    assert time.ahead is not None


def test_what_a_former_leader_reported_is_forgotten() -> None:
    time = BrokerTime()
    time.learn("old/0", 9_000_000_000, 10.0, 10.01)
    late = 20.0 + KEPT_FOR
    time.learn("t/0", int((late + 100) * 1000), late, late + 0.01)
    assert time.apart == 0.0
    assert time.ahead is not None
    assert abs(time.ahead - 100) < 0.1


def test_a_brokers_time_that_took_minutes_does_not_outweigh_one_that_took_none() -> None:
    """After an outage a record of another partition is acknowledged at last: between 0 and 90 s."""
    time = BrokerTime()
    time.learn("t-0", 1_000_000, asked=0.99, answered=1.01)
    time.learn("t-1", 1_089_000, asked=0.0, answered=90.0)
    assert time.ahead is not None
    assert abs(time.ahead - 999.0) < 0.1
    assert time.apart == 0.0
