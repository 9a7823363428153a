from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.model.instant import DAY, HOUR, Millis
from hookstream.core.retry.tiers import LONGEST_EXCESS, HopDownAt, Ladder, WaitUntil

NOW = 1_700_000_000_000

ladders = st.lists(st.integers(1, DAY), max_size=8).map(lambda delays: Ladder([0, *delays]))
waits = st.integers(-DAY, 8 * DAY)
lateness = st.integers(0, 5_000)


def hops(ladder: Ladder, wait: Millis, late: Millis, most: int) -> tuple[int, Millis]:
    """Walk a wait through the tiers as the worker does; return its hops and when it was due.

    Each append and each release happens `late` milliseconds after it could have.
    """
    due_at = NOW + wait
    now = NOW
    for hop in range(most):
        delay = ladder.place(now, due_at)
        appended_at = now + late
        match ladder.release(appended_at, delay, due_at):
            case WaitUntil(instant=instant):
                return hop, instant
            case HopDownAt(instant=instant):
                now = instant + late
    raise AssertionError(f"still on its way after {most} hops")


@given(ladders, waits, lateness)
def test_no_wait_ends_early_and_every_wait_ends(
    ladder: Ladder, wait: Millis, late: Millis
) -> None:
    smallest = min((delay for delay in ladder.delays if delay), default=DAY)
    most = max(wait, 0) // smallest + 2

    taken, released_at = hops(ladder, wait, late, most)

    assert released_at >= NOW + wait
    # It is late by no more than one lateness for each write, and for the tier it started in.
    assert released_at <= max(NOW + wait, NOW) + (taken + 1) * 2 * late + LONGEST_EXCESS


@given(waits, lateness)
def test_the_default_ladder_needs_few_hops(wait: Millis, late: Millis) -> None:
    """Each hop is a write: a wait of up to eight days must not cost more than two dozen."""
    taken, _ = hops(Ladder(), wait, late, most=24)

    assert taken < 24


@given(ladders, waits)
def test_a_tier_is_longer_than_what_remains_by_a_moment_at_most(
    ladder: Ladder, wait: Millis
) -> None:
    delay, remains = ladder.place(NOW, NOW + wait), max(wait, 0)

    assert delay in ladder.delays
    assert delay <= remains + min(LONGEST_EXCESS, remains // 10)


@given(ladders, waits, lateness)
def test_a_slot_is_kept_over_its_hops_on_any_ladder(
    ladder: Ladder, wait: Millis, late: Millis
) -> None:
    """Never returned before it by its tier alone, and late by no more than the writes took."""
    slot, now, taken = NOW + wait, NOW, 0
    while True:
        delay = ladder.place_slot(now, slot)
        taken += 1
        appended_at = now + late
        found = ladder.release_slot(appended_at, delay, slot, now=appended_at)
        if isinstance(found, WaitUntil):
            break
        now = found.instant

    assert slot <= found.instant <= max(slot, NOW) + taken * late + LONGEST_EXCESS
    assert taken <= ladder_rungs(ladder, wait)


def ladder_rungs(ladder: Ladder, wait: Millis) -> int:
    """Return more hops than a wait can need: it goes down by the smallest tier at least."""
    smallest = min((delay for delay in ladder.delays if delay), default=DAY)
    return max(wait, 0) // smallest + 2


@given(st.integers(1, 2 * HOUR), lateness)
def test_a_slot_within_two_hours_takes_three_writes_at_most(wait: Millis, late: Millis) -> None:
    """Most take one: a backlog of 100,000 slots must not become half a million records."""
    ladder, slot, now, taken = Ladder(), NOW + wait, NOW, 0
    found: WaitUntil | HopDownAt = HopDownAt(NOW)
    while isinstance(found, HopDownAt):
        delay = ladder.place_slot(now, slot)
        found = ladder.release_slot(now + late, delay, slot, now=now + late)
        now, taken = found.instant, taken + 1

    assert taken <= 3


@given(ladders, st.integers(0, 11), st.integers(0, 30_000))
def test_jitter_never_makes_a_hop(ladder: Ladder, index: int, spread: Millis) -> None:
    """A retry that waits in the tier of its delay is written once, whatever its jitter."""
    delay = ladder.delays[index % len(ladder.delays)]

    found = ladder.release(NOW, delay, NOW + delay + spread)

    assert found == WaitUntil(NOW + delay + spread)
