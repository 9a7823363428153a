"""How times, shares, durations and texts look on pages."""

import unicodedata
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.doubles.clock import NOON

from hookstream.core.audit.history import DeliveryState
from hookstream.core.jobs.job import JobState
from hookstream.core.model.instant import DAY, HOUR, MINUTE, SECOND, to_rfc3339
from hookstream.core.model.outcome import Disposition, Outcome
from hookstream.entry.pages.showing import ago, lasting, seconds, share, tone, utc, visible


@pytest.mark.parametrize(
    ("apart", "said"),
    [
        (0, "now"),
        (999, "now"),
        (-999, "now"),
        (SECOND, "1 s ago"),
        (59 * SECOND, "59 s ago"),
        (MINUTE, "1 min ago"),
        (-3 * HOUR, "in 3 h"),
        (2 * DAY - 1, "47 h ago"),
        (2 * DAY, "2 d ago"),
        (400 * DAY, "400 d ago"),
    ],
)
def test_a_time_is_said_in_its_largest_unit(apart: int, said: str) -> None:
    assert ago(to_rfc3339(NOON - apart), NOON) == said


def test_what_is_no_time_is_shown_as_it_is() -> None:
    assert (ago("yesterday", NOON), utc("1795854458871000 ms")) == (
        "yesterday",
        "1795854458871000 ms",
    )
    assert utc(to_rfc3339(NOON)) == "2026-11-24 12:00:00 UTC"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "\N{EN DASH}"),
        (0, "0 %"),
        (1.0, "100 %"),
        (0.5, "50.00 %"),
        (0.999999, "99.99 %"),
        (0.0000001, "0.01 %"),
    ],
)
def test_only_all_of_it_is_100_percent_and_only_nothing_is_0(
    value: float | None, said: str
) -> None:
    assert share(value) == said


def test_durations_have_the_unit_that_people_say() -> None:
    assert [lasting(each) for each in (250, 3_400, 90 * MINUTE)] == ["250 ms", "3 s", "1 h"]
    assert [seconds(each) for each in (0.0123, 3.44, 720)] == ["12 ms", "3.4 s", "12 min"]


def test_each_outcome_and_disposition_and_state_is_marked() -> None:
    """Beside its word; only what is over without being good or bad is not."""
    classes = (*get_args(Outcome), *get_args(Disposition))
    words = {each.name for each in classes} | {*DeliveryState, *JobState}
    assert {str(each) for each in words if tone(each) == "plain"} == {
        "cancel",
        "cancelled",
        "unknown",
    }


@given(st.text())
def test_no_character_that_steers_its_reader_is_left_in_a_text(text: str) -> None:
    found = visible(text)
    assert isinstance(found, str)
    left = {unicodedata.category(each) for each in found if each not in "\n\t"}
    assert not left & {"Cc", "Cf", "Cs", "Zl", "Zp"}
