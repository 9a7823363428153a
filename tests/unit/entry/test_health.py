"""A process is alive while its loops turn, whatever its broker does."""

from dataclasses import dataclass

import pytest

from hookstream.entry.health import alive


@dataclass
class Seen:
    """What a watch saw."""

    seconds: float = 0.0
    stuck: bool = False


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
    assert alive(100.0, beat, polls, Seen(stuck=stuck))[0] is expected


def test_the_facts_tell_which_loop_stands() -> None:
    assert alive(100.0, 99.5, [98.0, 40.0], Seen(seconds=1.5)) == (
        True,
        {
            "seconds_since_turn": 0.5,
            "seconds_since_poll": 60.0,
            "oldest_in_hand_seconds": 1.5,
        },
    )
