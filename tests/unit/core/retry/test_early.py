"""Waiting lanes are asked now and then, and lanes with capacity often and in turns."""

from hookstream.core.retry.early import EVERYBODY_EVERY, Early

MANY = [f"s{number}" for number in range(10_000)]


def test_between_two_rounds_only_lanes_that_had_capacity_are_asked() -> None:
    early: Early[str] = Early()
    asked = 0
    for hundredth in range(100):
        names = early.asked(hundredth / 100, lambda: MANY)
        asked += len(names)
        early.answered({name: 1 for name in names if name == "s17"}, [])

    assert asked <= 1.1 * len(MANY) / EVERYBODY_EVERY


def test_lanes_that_got_nothing_for_lack_of_credit_are_asked_first() -> None:
    """Two at a time, of five that have capacity: otherwise the first two would take everything."""
    early: Early[str] = Early()
    given = dict.fromkeys(MANY[:5], 0)
    for hundredth in range(100):
        names = early.asked(hundredth / 100, lambda: MANY[:5])
        early.answered(dict.fromkeys(names[:2], 1), names[2:])
        for name in names[:2]:
            given[name] += 1

    assert set(given.values()) == {40}


def test_a_newly_waiting_lane_is_asked_within_a_quarter_of_a_second() -> None:
    early: Early[str] = Early()
    assert list(early.asked(0.0, lambda: ["old"])) == ["old"]
    early.answered({"old": 1}, [])
    assert list(early.asked(0.1, lambda: ["new", "old"])) == ["old"]
    assert list(early.asked(EVERYBODY_EVERY, lambda: ["new", "old"])) == ["old", "new"]


def test_a_lane_with_nothing_left_is_not_asked_again() -> None:
    early: Early[str] = Early()
    early.asked(0.0, lambda: ["done", "more"])
    early.answered({"done": 1, "more": 1}, [])
    early.asked(0.1, lambda: ["more"])
    early.answered({"done": 0, "more": 1}, [])

    assert list(early.asked(0.2, lambda: ["more"])) == ["more"]
    assert list(early.asked(0.3, lambda: ["more"])) == ["more"]
