import pytest

from hookstream.core.model.instant import DAY, HOUR, MINUTE, SECOND, Millis
from hookstream.core.retry.tiers import (
    DEFAULT_TIERS,
    HopDownAt,
    Ladder,
    Release,
    WaitUntil,
)
from hookstream.errors import ConfigurationError

NOW = 1_700_000_000_000
LADDER = Ladder()


@pytest.mark.parametrize(
    ("remains", "tier"),
    [
        (-DAY, 0),
        (0, 0),
        (4_899, 0),
        (5_000, 5_000),
        (29_899, 5_000),
        (7 * MINUTE, 5 * MINUTE),
        (24 * HOUR, 24 * HOUR),
        (9 * DAY, 24 * HOUR),
    ],
)
def test_a_wait_goes_to_the_largest_tier_that_is_not_longer(remains: Millis, tier: Millis) -> None:
    assert LADDER.place(NOW, NOW + remains) == tier


@pytest.mark.parametrize("tier", [5_000, 30_000, MINUTE, 24 * HOUR])
def test_a_wait_of_a_tiers_delay_that_is_written_a_moment_later_goes_to_that_tier(
    tier: Millis,
) -> None:
    """Between the decision and the write, a busy machine takes some milliseconds."""
    assert [LADDER.place(NOW + late, NOW + tier) for late in (0, 1, 100)] == [tier] * 3


def test_a_short_tier_is_longer_than_a_wait_by_a_tenth_at_most() -> None:
    ladder = Ladder([0, 50])

    assert [ladder.place(NOW, NOW + remains) for remains in (45, 46, 50)] == [0, 50, 50]


@pytest.mark.parametrize(
    ("delay", "due_in", "release"),
    [
        (5_000, 5_000, WaitUntil(NOW + 5_000)),
        (5_000, 5_400, WaitUntil(NOW + 5_400)),
        (5_000, 35_000, WaitUntil(NOW + 35_000)),
        (5_000, 35_001, HopDownAt(NOW + 5_000)),
        (5 * MINUTE, 7 * MINUTE, HopDownAt(NOW + 5 * MINUTE)),
        (0, 3_000, WaitUntil(NOW + 3_000)),
        (0, -HOUR, WaitUntil(NOW)),
        (5_000, 1_000, WaitUntil(NOW + 5_000)),
        (0, None, WaitUntil(NOW)),
        (10_000, None, WaitUntil(NOW + 10_000)),
        (10_000, 10_000, WaitUntil(NOW + 10_000)),
    ],
)
def test_a_record_leaves_its_tier_for_the_waiting_room_or_a_shorter_tier(
    delay: Millis, due_in: Millis | None, release: Release
) -> None:
    due_at = None if due_in is None else NOW + due_in

    assert LADDER.release(NOW, delay, due_at) == release


def test_a_record_read_late_hops_only_for_what_really_remains() -> None:
    """A worker that was down for a while does not write what is nearly due once more."""
    due_at = NOW + 7 * MINUTE

    found = [
        LADDER.release(NOW, 5 * MINUTE, due_at, now=NOW + 6 * MINUTE + 30 * SECOND),
        LADDER.release(NOW, 5 * MINUTE, due_at, now=due_at + DAY),
        LADDER.release(NOW, 5 * MINUTE, due_at, now=NOW - DAY),
    ]

    assert found == [
        WaitUntil(due_at),
        WaitUntil(due_at + DAY),
        HopDownAt(NOW + 5 * MINUTE),
    ]


def test_a_ladder_with_nothing_between_lets_the_room_keep_the_rest() -> None:
    """Through 0s alone a record would return at once, as fast as the broker writes."""
    found = Ladder((0, DAY)).release(NOW, 0, NOW + HOUR)

    assert found == WaitUntil(NOW + HOUR)


def test_a_ladder_has_each_delay_once_in_order() -> None:
    ladder = Ladder((HOUR, 0, 5_000, HOUR))

    assert ladder.delays == (0, 5_000, HOUR)


def test_the_default_ladder_is_the_documented_one() -> None:
    assert LADDER.delays == DEFAULT_TIERS


@pytest.mark.parametrize("delays", [(), (5_000,), (-1, 0)])
def test_a_ladder_without_0s_is_refused(delays: tuple[Millis, ...]) -> None:
    with pytest.raises(ConfigurationError, match=r"retry\.tiers must include 0s"):
        Ladder(delays)
