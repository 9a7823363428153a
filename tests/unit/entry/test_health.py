"""A process is alive while its loops turn, whatever its broker does."""

import pytest

from hookstream.entry.health import alive


@pytest.mark.parametrize(
    ("beat", "polls", "expected"),
    [
        (100.0, [100.0, 99.0], True),
        (100.0, [], True),
        (69.0, [100.0, 100.0], False),
        (100.0, [-21.0, 100.0], False),
    ],
    ids=["all turn", "not started", "the event loop stands", "one poll loop stands"],
)
def test_a_process_is_alive_while_every_loop_turns(
    *, beat: float, polls: list[float], expected: bool
) -> None:
    assert alive(100.0, beat, polls)[0] is expected


def test_the_facts_tell_which_loop_stands() -> None:
    assert alive(100.0, 99.5, [98.0, 40.0]) == (
        True,
        {"seconds_since_turn": 0.5, "seconds_since_poll": 60.0},
    )
