"""A partition is idle while it has work and no first request is made."""

import pytest
from chaos.accounting import Wait, longest_idle


@pytest.mark.parametrize(
    ("waits", "idle"),
    [
        ([(10.0, 10.5)], (0.5, 10.5)),
        ([(10.0, 10.5), (100.0, 100.2)], (0.5, 10.5)),  # nothing waited in between
        ([(10.0, 40.0), (11.0, 40.1), (12.0, 40.2)], (30.0, 40.0)),
        ([(10.0, 40.0), (11.0, 15.0)], (25.0, 40.0)),  # a request was made meanwhile
        ([(10.0, 12.0), (11.0, 31.0), (30.0, 30.5)], (18.5, 30.5)),
    ],
)
def test_an_idle_time_lasts_from_work_or_a_request_to_the_next_request(
    waits: list[Wait], idle: tuple[float, float]
) -> None:
    assert longest_idle(waits) == idle
