"""The age of the tables is the larger one by two clocks."""

import pytest

from hookstream.core.model.freshness import FRESH_FOR, LONG_AGO, Moment, age

NOON = 1_764_331_200.0


@pytest.mark.parametrize(
    ("boot", "wall", "seconds"),
    [
        (2.0, 2.0, 2.0),
        (30.0, 30.0, 30.0),
        (30.0, -3_600.0, 30.0),
        (0.1, 30.0, 30.0),
        (0.0, 0.0, 0.0),
    ],
    ids=["both", "suspended", "wall clock set back", "machine stopped from outside", "now"],
)
def test_the_larger_of_two_clocks_counts(boot: float, wall: float, seconds: float) -> None:
    then = Moment(100.0, NOON)
    assert age(then, Moment(100.0 + boot, NOON + wall)) == pytest.approx(seconds)


def test_a_table_that_was_never_current_is_not_fresh() -> None:
    assert age(LONG_AGO, Moment(0.0, 0.0)) > FRESH_FOR
