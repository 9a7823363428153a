"""No sequence of ids and answers asks a registry more than agreed, or makes memory grow."""

from collections import defaultdict
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.catalog.registry_asks import ASK_AGAIN, BURST, KNOWN, RATE, RegistryAsks
from hookstream.core.model.registered import (
    NotFound,
    RegisteredSchema,
    RegistryAnswer,
    Unreachable,
)

answers = st.sampled_from([NotFound("40403"), Unreachable("503"), RegisteredSchema({})])
steps = st.lists(
    st.tuples(
        st.integers(0, 6).map(str), st.floats(0, 20, allow_nan=False), st.floats(0, 3), answers
    ),
    max_size=60,
)


@given(steps=steps)
def test_an_id_that_was_not_found_is_not_asked_for_within_ten_seconds(
    steps: list[tuple[str, float, float, RegistryAnswer]],
) -> None:
    asks, now = RegistryAsks(), 0.0
    asked: dict[str, list[float]] = defaultdict(list)
    for schema_id, pause, took, answer in steps:
        now += pause
        if asks.known(schema_id, now) is None and asks.spend(now):
            now += took
            asks.answered(schema_id, answer, took, now)
            if isinstance(answer, NotFound):
                asked[schema_id].append(now)
                assert asks.known(schema_id, now) == answer
    for times in asked.values():
        assert all(b - a >= ASK_AGAIN for a, b in pairwise(times))


@given(gaps=st.lists(st.floats(0, 0.01), min_size=1, max_size=1_000))
def test_requests_in_any_range_are_bounded(gaps: list[float]) -> None:
    asks, now, asked = RegistryAsks(), 100.0, 0
    for number, gap in enumerate(gaps):
        now += gap
        if asks.spend(now):
            asked += 1
            asks.answered(str(number), NotFound("40403"), 0.0, now)
    assert asked <= BURST + RATE * sum(gaps) + 1


def test_a_slow_registry_takes_at_most_half_of_the_time_of_one_who_asks_for_what_it_does_not_have() -> (
    None
):
    asks, now, waited = RegistryAsks(), 0.0, 0.0
    for number in range(100_000):
        if asks.spend(now):
            waited += 1.0
            now += 1.0
            asks.answered(str(number), NotFound("40403"), 1.0, now)
        else:
            now += 0.01
    assert waited / now < 0.55


def test_ids_drawn_for_ever_do_not_grow_memory() -> None:
    asks = RegistryAsks()
    for number in range(3 * KNOWN):
        asks.answered(str(number), NotFound("40403"), 0.0, float(number))
    assert len(asks) == KNOWN


def test_a_clock_that_went_back_asks_again() -> None:
    asks = RegistryAsks()
    asks.answered("7", NotFound("40403"), 0.0, 100.0)
    assert asks.known("7", 50.0) is None
    assert asks.spend(50.0)
