"""What goes behind everything else takes the time that others leave."""

from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.retry.background import AT_ONCE, LEFT_TO_OTHERS, LONGEST, Background

turns = st.lists(st.tuples(st.floats(0, 0.2), st.floats(0, 0.05)), min_size=1, max_size=50)


@given(turns=turns)
def test_beside_a_busy_loop_it_takes_a_third_of_the_time_at_most_and_few_at_once(
    turns: list[tuple[float, float]],
) -> None:
    """However long its turns are, and whenever it is asked again."""
    background, now, taken = Background(), 0.0, 0.0
    for turn, late in turns:
        assert background.room(now) == AT_ONCE
        now += turn
        taken += turn
        left = background.released(now, turn)
        assert left == LEFT_TO_OTHERS * turn
        assert left <= LONGEST
        if left > 1e-6:
            assert background.room(now) == background.room(now + 0.99 * left) == 0
        now += left + late
    assert taken <= now / (1 + LEFT_TO_OTHERS) + 1e-9


def test_a_turn_of_any_length_is_followed_by_a_bounded_time_without() -> None:
    background = Background()

    found = [background.released(0.0, turn) for turn in (3600.0, -1.0)]

    assert found == [LONGEST, 0.0]
    assert background.room(0.0) == AT_ONCE


def test_the_first_ones_wait_for_nothing() -> None:
    assert Background().room(0.0) == AT_ONCE
