"""A count of what a redrive or purge would take is bounded in time, and what it read is known however it ends."""

import pytest

from hookstream.entry.admin.surveys import CountBudget
from hookstream.errors import InputRefused


def test_a_count_that_takes_too_long_ends_with_a_remedy_and_what_it_read_is_known() -> None:
    now = 100.0
    budget = CountBudget(40.0, lambda: now)
    now = 139.0
    budget.progress(500, 60_000)
    now = 140.5
    with pytest.raises(InputRefused, match="longer than 40 s: select what is newer"):
        budget.progress(1_000, 60_000)
    assert budget.read == 1_000
