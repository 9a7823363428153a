"""A change takes effect late enough for its rows to be appended, and read by every worker, before that."""

from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.model.freshness import FRESH_FOR
from hookstream.core.planning.lead import LONGEST_LEAD, lead_for, writing_time

leads = st.integers(0, LONGEST_LEAD)


@given(leads)
def test_a_row_is_appended_before_tables_that_lack_it_may_be_used(lead: int) -> None:
    ahead = lead - writing_time(lead)
    assert ahead == min(FRESH_FOR * 1_000, lead - lead // 4)


@given(leads)
def test_a_longer_lead_leaves_as_much_time_for_writing_as_it_is_to(writing: int) -> None:
    lead = lead_for(writing)
    assert writing_time(lead) >= writing or lead == LONGEST_LEAD
    assert lead == 0 or writing_time(lead - 1) < writing


def test_the_usual_lead_leaves_half_a_second_for_writing() -> None:
    assert writing_time(2_000) == 500
    assert lead_for(500) == 2_000
