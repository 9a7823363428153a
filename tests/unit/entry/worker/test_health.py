"""A process is alive while its loops turn, whatever its broker does."""

import pytest

from hookstream.entry.worker.health import alive, matching


@pytest.mark.parametrize(
    ("beat", "polls", "stuck", "expected"),
    [
        (100.0, [100.0, 99.0], False, True),
        (100.0, [], False, True),
        (69.0, [100.0, 100.0], False, False),
        (100.0, [-21.0, 100.0], False, False),
        (100.0, [100.0, 99.0], True, False),
    ],
    ids=["all turn", "not started", "the event loop stands", "one poll loop stands", "stuck"],
)
def test_a_process_is_alive_while_every_loop_turns_and_work_moves(
    *, beat: float, polls: list[float], stuck: bool, expected: bool
) -> None:
    assert alive(100.0, beat, polls, 0.0, stuck=stuck)[0] is expected


def test_the_facts_show_which_loop_is_stuck() -> None:
    assert alive(100.0, 99.5, [98.0, 40.0], 1.5, stuck=False) == (
        True,
        {
            "seconds_since_turn": 0.5,
            "seconds_since_poll": 60.0,
            "oldest_in_hand_seconds": 1.5,
        },
    )


def test_a_worker_that_matches_nothing_is_not_ready_and_states_the_reason() -> None:
    assert matching({}, 3, current=True) == (
        True,
        {"tables_current": True, "unreadable_rows": 0, "partitions": 3},
    )
    assert matching({}, 0, current=True)[0] is False
    assert matching({}, 3, current=False)[0] is False
    assert matching({"partners/acme": "it is no JSON"}, 3, current=True) == (
        False,
        {
            "tables_current": True,
            "unreadable_rows": 1,
            "partitions": 3,
            "unreadable_row": "partners/acme: it is no JSON",
        },
    )
