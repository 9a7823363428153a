"""A process is alive while its loops run, whatever its broker does."""

import pytest

from hookstream.entry.worker.health import alive, matching


@pytest.mark.parametrize(
    ("silence", "unpolled", "stuck", "expected"),
    [
        (0.0, 1.0, False, True),
        (29.9, 119.9, False, True),
        (30.0, 0.0, False, False),
        (0.0, 120.0, False, False),
        (0.0, 1.0, True, False),
    ],
    ids=["all run", "just alive", "the event loop hangs", "a poll loop hangs", "stuck"],
)
def test_a_process_is_alive_while_every_loop_runs_and_work_moves(
    *, silence: float, unpolled: float, stuck: bool, expected: bool
) -> None:
    assert alive(silence, unpolled, 0.0, stuck=stuck)[0] is expected


def test_the_facts_show_which_loop_is_stuck() -> None:
    assert alive(0.5, 60.0, 1.5, stuck=False) == (
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
